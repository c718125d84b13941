// On a narrow screen each row of a table is a block: its cells carry the names of their columns.
document.querySelectorAll(".md-typeset table").forEach((table) => {
  const names = [...table.querySelectorAll("thead th")].map((cell) => cell.textContent);
  table.querySelectorAll("tbody tr").forEach((row) =>
    [...row.cells].forEach((cell, i) => cell.setAttribute(cell.textContent.trim() ? "data-column" : "data-empty", names[i] || "")),
  );
});
