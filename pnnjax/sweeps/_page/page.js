"use strict";
const collator = new Intl.Collator("en", { numeric: true });
const MISSING = "–";

function make(name, properties, ...children) {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...children);
  return node;
}

function key(cell, numeric) {
  const text = cell.title || cell.textContent;
  if (text === MISSING) return null;
  if (!numeric) return cell.textContent;
  return Number(text.replace("inf", "Infinity"));
}

function sort(table, column, descending) {
  const heads = [...table.tHead.rows[0].cells];
  const numeric = heads[column].classList.contains("n");
  const compare = numeric ? (a, b) => a - b || 0 : collator.compare;
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row) => [key(row.cells[column], numeric), row]);
  rows.sort(([a], [b]) => {
    // What is missing comes last, whichever way the others go.
    if (a === null || b === null) return (a === null) - (b === null);
    return descending ? compare(b, a) : compare(a, b);
  });
  body.append(...rows.map(([, row]) => row));
  heads.forEach((head) => head.setAttribute("aria-sort", "none"));
  heads[column].setAttribute("aria-sort", descending ? "descending" : "ascending");
}

function sortable(table) {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = make("button", { type: "button" }, ...head.childNodes);
    button.onclick = () =>
      sort(table, column, head.getAttribute("aria-sort") === "ascending");
    head.append(button);
    head.setAttribute("aria-sort", "none");
  });
}

function pick(head, column, rows, changed) {
  const name = head.textContent;
  const counts = new Map();
  for (const row of rows) {
    const value = row.cells[column].textContent;
    counts.set(value, (counts.get(value) || 0) + 1);
  }
  const boxes = [...counts.keys()]
    .sort(collator.compare)
    .map((value) => make("input", { type: "checkbox", value }));
  const summary = make("summary", {});
  const list = make("fieldset", {}, make("legend", { textContent: name }));
  for (const box of boxes) {
    const count = make("small", { textContent: ` ${counts.get(box.value)}` });
    list.append(make("label", { className: "v" }, box, box.value, count));
  }
  const details = make("details", {}, summary, list);
  const chosen = () => boxes.filter((box) => box.checked).map((box) => box.value);
  const show = () => {
    const values = chosen();
    const few = values.length < 3 ? values.join(", ") : `${values.length} picked`;
    summary.textContent = `${name}: ${values.length ? few : "all"}`;
    summary.classList.toggle("on", values.length > 0);
  };
  list.onchange = () => { show(); changed(); };
  details.onkeydown = (event) => {
    if (event.key !== "Escape") return;
    details.open = false;
    summary.focus();
  };
  document.addEventListener("pointerdown", (event) => {
    if (!details.contains(event.target)) details.open = false;
  });
  show();
  const clear = () => { boxes.forEach((box) => (box.checked = false)); show(); };
  return { details, column, chosen, clear };
}

function filterable(table, box) {
  const rows = [...table.tBodies[0].rows];
  const texts = new Map(rows.map((row) => [
    row, [...row.cells].map((cell) => cell.textContent).join(" ").toLowerCase(),
  ]));
  const search = make("input", { type: "search", placeholder: "Filter rows …" });
  search.setAttribute("aria-label", "Filter rows by text");
  const count = make("output", {});
  const apply = () => {
    const words = search.value.toLowerCase().split(/\s+/);
    const wanted = picks
      .map(({ column, chosen }) => [column, new Set(chosen())])
      .filter(([, values]) => values.size);
    let left = 0;
    for (const row of rows) {
      const fits =
        words.every((word) => texts.get(row).includes(word)) &&
        wanted.every(([c, values]) => values.has(row.cells[c].textContent));
      row.hidden = !fits;
      left += fits;
    }
    count.textContent = left < rows.length ? `${left} of ${rows.length} rows` : `${left} rows`;
    all.hidden = left === rows.length;
  };
  const picks = [...table.tHead.rows[0].cells]
    .map((head, column) => "pick" in head.dataset && pick(head, column, rows, apply))
    .filter(Boolean);
  const all = make("button", { type: "button", textContent: "Show all" });
  all.onclick = () => {
    search.value = "";
    picks.forEach(({ clear }) => clear());
    apply();
    search.focus();
  };
  search.oninput = apply;
  const lists = picks.map(({ details }) => details);
  box.before(make("div", { className: "tools" }, search, ...lists, count, all));
  apply();
}

for (const box of document.querySelectorAll(".table .scroll")) {
  const table = box.querySelector("table");
  filterable(table, box);
  sortable(table);
  const first = table.tHead.rows[0].cells[0];
  new ResizeObserver(() => {
    table.style.setProperty("--left", `${first.offsetWidth}px`);
    table.classList.add("live");
  }).observe(first);
}
