// Tables that sort by a click on a heading, and charts of which the reader chooses the lines.
function figure(text) {
  const found = /^(<\s*)?([+−-]?\d+(\.\d+)?)/.exec(text.trim().replaceAll(",", ""));
  return found ? Number(found[2].replace("−", "-")) : null;
}

function sortable(table) {
  const heads = [...table.querySelectorAll("thead th")];
  heads.forEach((head, column) => {
    const press = element("button", { type: "button" }, head.textContent);
    press.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") !== "descending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      sortRows(table.tBodies[0], column, down);
    });
    head.replaceChildren(press);
  });
}

function sortRows(body, column, down) {
  const rows = [...body.rows].map((row) => [row, row.cells[column].textContent, row.classList.contains("level")]);
  rows.sort(([, a, low], [, b, other]) => {
    if (low !== other) return low ? 1 : -1; // chance and oracle stay below
    const [x, y] = [figure(a), figure(b)];
    if ((x === null) !== (y === null)) return x === null ? 1 : -1;
    const order = x === null ? a.localeCompare(b) : x - y;
    return down ? -order : order;
  });
  body.append(...rows.map(([row]) => row));
}

function choosable(legend) {
  const chart = legend.previousElementSibling;
  const buttons = [...legend.querySelectorAll("button[data-series]")];
  const set = (button, shown) => {
    button.setAttribute("aria-pressed", String(shown));
    chart.querySelector(`g[data-series="${button.dataset.series}"]`).toggleAttribute("hidden", !shown);
  };
  buttons.forEach((button) => button.addEventListener("click", () => set(button, button.getAttribute("aria-pressed") !== "true")));
  legend.querySelectorAll("button[data-all]").forEach((button) =>
    button.addEventListener("click", () => buttons.forEach((one) => set(one, Boolean(button.dataset.all)))));
}

document.querySelectorAll("#overview table.sortable").forEach(sortable);
document.querySelectorAll(".legend.choice").forEach(choosable);
