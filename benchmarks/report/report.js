"use strict";
// Everything from data goes through textContent and setAttribute, never through innerHTML.
const data = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg";
const FILTERS = [["all", "all"], ["right", "right"], ["wrong", "wrong"], ["changed", "changed against the baseline"], ["won", "won: baseline wrong"], ["lost", "lost: baseline right"]];
const state = { group: 0, method: 0, baseline: 0, filter: "all", search: "", at: 0, shown: [] };
const $ = (id) => document.getElementById(id);

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

function fill(select, choices, value) {
  select.replaceChildren(...choices.map(([key, label]) => element("option", { value: key }, label)));
  select.value = String(value);
}

const group = () => data.groups[state.group];
const sampleOf = (query) => data.samples[query.sample];
const verdict = (answer) => (!answer ? null : answer.error !== undefined ? null : answer.correct);

function keeps(query) {
  const mine = verdict(query.answers[state.method]);
  const other = state.baseline < 0 ? null : verdict(query.answers[state.baseline]);
  const rule = {
    all: true,
    right: mine === true,
    wrong: mine === false,
    changed: other !== null && mine !== null && mine !== other,
    won: mine === true && other === false,
    lost: mine === false && other === true,
  };
  if (!rule[state.filter]) return false;
  const text = `${query.text} ${query.id} ${query.slice} ${sampleOf(query).id}`.toLowerCase();
  return state.search.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

function refresh(keep) {
  const before = keep ? state.shown[state.at] : undefined;
  state.shown = data.queries.filter((query) => sampleOf(query).group === state.group && keeps(query));
  state.at = Math.max(0, state.shown.indexOf(before));
  const total = data.queries.filter((query) => sampleOf(query).group === state.group).length;
  $("count").textContent = `${state.shown.length} of ${total} queries`;
  const lines = state.shown.map((query, i) => {
    const mine = verdict(query.answers[state.method]);
    const sign = element("span", { class: mine ? "right" : "wrong" }, mine === null ? "–" : mine ? "✓" : "✗");
    const line = element("li", { title: query.id }, sign, element("span", {}, query.text));
    line.addEventListener("click", () => go(i));
    return line;
  });
  $("list").replaceChildren(...lines);
  $("note").textContent = group().note;
  $("note").hidden = !group().note;
  showDiffering();
  show();
}

function go(place) {
  if (!state.shown.length) return;
  state.at = Math.min(Math.max(place, 0), state.shown.length - 1);
  show();
}

function show() {
  [...$("list").children].forEach((line, i) => {
    if (i === state.at) {
      line.setAttribute("aria-current", "true");
      const box = $("list");
      if (line.offsetTop < box.scrollTop + box.offsetTop || line.offsetTop + line.offsetHeight > box.scrollTop + box.offsetTop + box.clientHeight)
        box.scrollTop = line.offsetTop - box.offsetTop - box.clientHeight / 3;
    } else line.removeAttribute("aria-current");
  });
  const query = state.shown[state.at];
  remember();
  $("detail").replaceChildren(...(query ? detail(query) : [element("p", { class: "empty" }, "Nothing matches these filters.")]));
}

function detail(query) {
  const sample = sampleOf(query);
  const back = element("button", { type: "button", "aria-label": "previous" }, "←");
  const on = element("button", { type: "button", "aria-label": "next" }, "→");
  back.addEventListener("click", () => go(state.at - 1));
  on.addEventListener("click", () => go(state.at + 1));
  const where = [query.id, query.slice, query.id === sample.id ? "" : sample.id].filter(Boolean).join(" · ");
  const cards = group().methods.map((method, m) => card(query, sample, method, m));
  return [
    element("div", { class: "steps" }, element("a", { href: address(query) }, "link"), back, on),
    element("h3", {}, group().kind === "rec" ? `“${query.text}”` : query.text),
    element("p", { class: "where" }, where),
    element("div", { class: "main" }, ...pictures(query, sample), signs(sample)),
    element("div", { class: "cards" }, ...cards),
  ];
}

function signs(sample) {
  const rows = [];
  const row = (name, words) => rows.push(element("li", {}, element("i", { class: name }), words));
  if (group().kind === "rec") { row("answer", "the answer"); row("choice", `decision of ${group().methods[state.method].name}`); row("", "other candidates"); }
  if (group().kind === "classification") {
    row("answer", "the region that is asked about");
    if ((sample.regions || []).length > 1) row("", "other regions of the picture");
  }
  if (some(sample, "mask")) row("mask", "bias on the attention, low to high");
  if (some(sample, "attention")) row("heat", "CLS attention, or similarity of a read-out, low to high");
  if (sample.error) rows.push(element("li", {}, sample.error));
  return element("ul", { class: "signs" }, ...rows);
}

const some = (sample, key) => (sample.views || []).some((slots) => Object.values(slots).some((views) => views.some((view) => view[key])));

function pictures(query, sample) {
  if (!sample.images) return [];
  if (sample.own > 1) return [];
  const [width, height] = sample.size;
  const box = frame(sample.images[0], Math.min(400, Math.max(300, width)));
  const layer = overlay(box, width, height);
  const answer = query.answers[state.method];
  const rim = (corners) => rectangle(layer, corners, "rim");
  sample.boxes.forEach((corners) => { rim(corners); rectangle(layer, corners, ""); });
  const asked = query.region ?? 0;
  const regions = (sample.regions || []).map((boxes, i) => [boxes, i === asked ? "answer" : ""]);
  // The one that is asked about lies above the others.
  for (const [boxes, name] of regions.sort((a, b) => a[1].length - b[1].length)) boxes.forEach((corners) => { rim(corners); rectangle(layer, corners, name); });
  query.right.filter((i) => sample.boxes[i]).forEach((i) => { rim(sample.boxes[i]); rectangle(layer, sample.boxes[i], "answer"); });
  if (sample.boxes.length && answer && answer.choice >= 0 && sample.boxes[answer.choice]) rectangle(layer, sample.boxes[answer.choice], "choice");
  sample.boxes.forEach((corners, i) => {
    const size = width / 22;
    const text = document.createElementNS(SVG, "text");
    text.setAttribute("x", Math.min(corners[0] + size * 0.2, width - size));
    text.setAttribute("y", Math.max(corners[1] + size, size));
    text.setAttribute("style", `font-size: ${size}px; stroke-width: ${size / 5}px`);
    text.textContent = i;
    layer.append(text);
  });
  return [box];
}

function frame(uri, width) {
  const picture = element("img", { class: "picture", src: uri, alt: "" });
  return element("div", { class: "view", tabindex: "0", title: "enlarge", style: `width: min(100%, ${width}px)` }, picture);
}

function overlay(box, width, height) {
  const layer = document.createElementNS(SVG, "svg");
  layer.setAttribute("viewBox", `0 0 ${width} ${height}`);
  layer.setAttribute("preserveAspectRatio", "none");
  box.append(layer);
  return layer;
}

function rectangle(layer, [x0, y0, x1, y1], name) {
  const made = document.createElementNS(SVG, "rect");
  for (const [key, value] of Object.entries({ x: x0, y: y0, width: x1 - x0, height: y1 - y0 })) made.setAttribute(key, value);
  if (name) made.setAttribute("class", name);
  layer.append(made);
}

function heat(box, uri, [left, top, width, height]) {
  box.append(element("img", { class: "heat", src: uri, alt: "", style: `left:${left}%;top:${top}%;width:${width}%;height:${height}%` }));
}

function card(query, sample, method, m) {
  const answer = query.answers[m];
  const right = verdict(answer);
  const sign = right === null ? "–" : right ? "✓ right" : "✗ wrong";
  const made = element("div", { class: `card${m === state.method ? " chosen" : ""}` },
    element("h4", {}, element("span", {}, method.name), element("span", { class: right ? "right" : "wrong" }, sign)));
  if (!answer) return append(made, element("p", {}, "this run did not answer the query"));
  if (answer.error !== undefined) return append(made, element("p", {}, answer.error));
  const slots = (sample.views || [])[m] || {};
  if (sample.images) made.append(element("div", { class: "views" }, ...shownViews(query, sample, slots, answer)));
  made.append(answer.scores ? candidateBars(query, answer) : classBars(answer));
  if (answer.asked) made.append(element("p", {}, `relations, with ${answer.asked.map((text) => `“${text}”`).join(", ")}`));
  const tie = answer.ties > 1 ? `, ${answer.ties} tied` : "";
  const margin = answer.margin === null ? "" : `margin ${answer.margin}`;
  return append(made, element("p", {}, `rank of the answer ${answer.rank || "–"}, ${margin}${tie}`));
}

const append = (made, child) => { made.append(child); return made; };

function shownViews(query, sample, slots, answer) {
  const found = [];
  const wanted = group().kind === "rec" ? [answer.choice] : query.region === null ? Object.keys(slots) : [query.region];
  wanted.forEach((slot) => (slots[slot] || []).forEach((view) => {
    const box = frame(sample.images[view.image], 180);
    if (view.mask && $("overlay").checked) heat(box, view.mask, view.window);
    if (view.box && group().kind !== "pointcloud") rectangle(overlay(box, ...view.size), view.box, "");
    found.push(element("figure", {}, box, caption(view, answer, slot)));
    const maps = view.attention || {};
    (maps.before === maps.after ? [] : ["before", "after"]).forEach((word, k) => {
      const own = group().kind === "pointcloud" ? Number(slot) : 0;
      const map = frame(sample.images[k ? view.image : own], 180);
      map.classList.add("faded");
      heat(map, maps[word], maps.windows[k]);
      found.push(element("figure", {}, map, element("figcaption", {}, `${maps.words[k]}, ${maps.limits.join("–")}${maps.unit}`)));
    });
    if (maps.difference) {
      const map = frame(sample.images[view.image], 180);
      map.classList.add("faded");
      heat(map, maps.difference, maps.windows[1]);
      found.push(element("figure", {}, map, element("figcaption", {}, `after less before: blue −${maps.most}, red +${maps.most}${maps.unit}`)));
    }
  }));
  return found;
}

function caption(view, answer, slot) {
  if (!answer.views || !answer.views[slot]) return element("figcaption", {}, "");
  const one = answer.views[slot];
  return element("figcaption", {}, `map ${slot}: `, element("span", { class: one.correct ? "right" : "wrong" }, one.choice), ` ${one.best}; answer ${one.target}`);
}

// Scores are close together and far from 0, so their bars begin at the lowest; shares begin at 0.
function bars(rows, share) {
  const values = rows.map((row) => row.score).filter((score) => score !== null);
  const low = share ? 0 : Math.min(...values), high = Math.max(...values);
  const made = element("div", { class: "bars" });
  for (const row of rows) {
    const part = row.score === null || high <= low ? 0 : (100 * (row.score - low)) / (high - low);
    const bar = element("div", { class: `bar ${row.kind}` }, element("b", { style: `width: ${part}%` }));
    made.append(element("span", { class: "name", title: row.name }, row.name), bar, element("span", {}, row.score === null ? "dropped" : row.score.toFixed(2)));
  }
  const origin = element("p", { class: "origin" }, `bars begin at ${share ? "0" : `${low.toFixed(2)}, the lowest score shown`}`);
  return element("div", {}, made, values.length ? origin : null);
}

function candidateBars(query, answer) {
  return bars(answer.scores.map((score, i) => ({ name: String(i), score, kind: `${query.right.includes(i) ? "answer " : ""}${answer.choice === i ? "choice" : ""}` })), Boolean(answer.asked));
}

function classBars(answer) {
  return bars(answer.top.map(([name, score, right], i) => ({ name, score, kind: `${right ? "answer " : ""}${i === 0 ? "choice" : ""}` })));
}

function chooseGroup(number) {
  state.group = number;
  const names = group().methods.map((method, i) => [i, method.name]);
  state.baseline = group().baseline;
  state.method = Math.max(0, names.findIndex(([i]) => i !== state.baseline));
  const foveal = group().methods.findIndex((method) => /^(foveal|falip)$/.test(method.name));
  if (foveal >= 0) state.method = foveal;
  fill($("method"), names, state.method);
  fill($("baseline"), [[-1, "none"], ...names], state.baseline);
  refresh(false);
}

function choose(id, value) {
  $(id).value = String(value);
  $(id).dispatchEvent(new Event("change"));
}

const KEYS = {
  j: () => go(state.at + 1), ArrowDown: () => go(state.at + 1), ArrowRight: () => go(state.at + 1),
  k: () => go(state.at - 1), ArrowUp: () => go(state.at - 1), ArrowLeft: () => go(state.at - 1),
  f: () => choose("filter", FILTERS[(FILTERS.findIndex(([key]) => key === state.filter) + 1) % FILTERS.length][0]),
  m: () => choose("method", (state.method + 1) % group().methods.length),
  o: () => { $("overlay").checked = !$("overlay").checked; show(); },
  "/": () => $("search").focus(),
  "?": () => ($("help").open ? $("help").close() : $("help").showModal()),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const action = KEYS[event.key];
  // The arrows scroll the overview; in the gallery they step.
  const reading = event.key.startsWith("Arrow") && $("gallery").getBoundingClientRect().top > window.innerHeight * 0.6;
  if (!action || reading || !data.groups.length || $("large").open || ($("help").open && event.key !== "?")) return;
  event.preventDefault();
  action();
});

$("help-open").addEventListener("click", () => $("help").showModal());
$("controls").addEventListener("submit", (event) => event.preventDefault());
$("group").addEventListener("change", () => chooseGroup(Number($("group").value)));
$("method").addEventListener("change", () => { state.method = Number($("method").value); refresh(true); });
$("baseline").addEventListener("change", () => { state.baseline = Number($("baseline").value); refresh(true); });
$("filter").addEventListener("change", () => { state.filter = $("filter").value; refresh(true); });
$("search").addEventListener("input", () => { state.search = $("search").value; refresh(true); });
$("overlay").addEventListener("change", show);
fill($("filter"), FILTERS, "all");
fill($("group"), data.groups.map((one, i) => [i, one.label]), 0);

