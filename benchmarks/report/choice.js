// What the reader has chosen: the address that keeps it, what two methods differ in, and the enlarged view.
let choosing = false;

const methodName = (m) => (m < 0 ? "none" : group().methods[m].name);
const groupName = (one) => `${one.kind}: ${one.label}`;

function address(query) {
  const words = new URLSearchParams({ data: groupName(group()), method: methodName(state.method), baseline: methodName(state.baseline), show: state.filter });
  if (state.search) words.set("search", state.search);
  if (query) words.set("query", query.id);
  return `#${words}`;
}

function remember() {
  if (choosing) history.replaceState(null, "", address(state.shown[state.at]));
}

// Takes up what an address says; what this page does not have is passed over.
function recall() {
  const words = new URLSearchParams(location.hash.slice(1));
  const number = data.groups.findIndex((one) => groupName(one) === words.get("data"));
  if (number < 0) return false;
  $("group").value = String(number);
  chooseGroup(number);
  const named = (key) => group().methods.findIndex((method) => method.name === words.get(key));
  if (named("method") >= 0) state.method = named("method");
  if (named("baseline") >= 0 || words.get("baseline") === "none") state.baseline = named("baseline");
  if (FILTERS.some(([key]) => key === words.get("show"))) state.filter = words.get("show");
  state.search = words.get("search") || "";
  for (const key of ["method", "baseline", "filter", "search"]) $(key).value = String(state[key]);
  refresh(false);
  go(Math.max(0, state.shown.findIndex((query) => query.id === words.get("query"))));
  $("gallery").scrollIntoView();
  return true;
}

function differing() {
  return data.queries.filter((query) => {
    if (sampleOf(query).group !== state.group || state.baseline < 0) return false;
    const [mine, other] = [state.method, state.baseline].map((m) => verdict(query.answers[m]));
    return mine !== null && other !== null && mine !== other;
  });
}

function said(query, m) {
  const answer = query.answers[m];
  return `${answer.correct ? "right" : "wrong"}: ${answer.top ? answer.top[0][0] : `box ${answer.choice}`}`;
}

const columns = () => ["query", "text", "slice", "sample", methodName(state.method), methodName(state.baseline)];
const cells = (query) => [query.id, query.text, query.slice, sampleOf(query).id, said(query, state.method), said(query, state.baseline)];

function showDiffering() {
  const found = differing();
  const all = data.queries.filter((query) => sampleOf(query).group === state.group).length;
  $("differ-count").textContent = state.baseline < 0 ? "Choose a baseline to see where two methods differ" : `Where ${methodName(state.method)} and ${methodName(state.baseline)} differ: ${found.length} of the ${all} queries shown here`;
  $("csv").disabled = !found.length;
  if (!$("differ").open) return;
  const body = element("tbody", {}, ...found.map((query) => {
    const [name, ...rest] = cells(query);
    return element("tr", {}, element("th", { scope: "row" }, element("a", { href: address(query).replace(/show=\w+/, "show=all") }, name)), ...rest.map((text) => element("td", {}, text)));
  }));
  const head = element("thead", {}, element("tr", {}, ...columns().map((name) => element("th", { scope: "col" }, name))));
  $("differing").replaceChildren(head, body);
  sortable($("differing"));
}

function csv() {
  const quoted = (text) => `"${String(text).replaceAll('"', '""')}"`;
  return [columns(), ...differing().map(cells)].map((line) => line.map(quoted).join(",")).join("\r\n") + "\r\n";
}

function saveCsv() {
  const link = element("a", { href: `data:text/csv;charset=utf-8,${encodeURIComponent(csv())}`, download: "differing.csv" });
  link.click();
}

function enlarge(view) {
  const words = view.closest("figure")?.querySelector("figcaption")?.textContent || "";
  $("large-view").replaceChildren(view.cloneNode(true));
  $("large-words").textContent = words;
  $("large").showModal();
}

$("detail").addEventListener("click", (event) => { const view = event.target.closest(".view"); if (view) enlarge(view); });
$("detail").addEventListener("keydown", (event) => { if (event.key === "Enter" && event.target.matches(".view")) enlarge(event.target); });
$("differ").addEventListener("toggle", showDiffering);
$("csv").addEventListener("click", saveCsv);
window.addEventListener("hashchange", recall);
if (location.hash === "#differ") $("differ").open = true;
if (data.groups.length) {
  if (!recall()) chooseGroup(0);
  choosing = true;
}
