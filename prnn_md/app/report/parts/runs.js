// The table of runs.

const tableState = { key: null, descending: false, shown: data.runs.map((_, i) => i), chosen: new Set() };

const columns = [
  { key: "name", title: "Run" },
  { key: "model", title: "Model" },
  { key: "status", title: "Status", optional: true, minor: true },
  { key: "sweep", title: "Sweep", optional: true, minor: true },
  { key: "dataset", title: "Dataset", optional: true, minor: true },
  { key: "n_train", title: "Training paths", write: whole },
  { key: "seed", title: "Seed", write: whole },
  { key: "net_error", title: "Net error", write: decimal },
  { key: "low", title: "95 % interval", write: (_, run) => intervalOf(run) },
  { key: "error", title: "Error", write: decimal },
  { key: "floor", title: "Floor", write: decimal, minor: true },
  { key: "valid", title: "Validation error", write: decimal },
  { key: "untrained", title: "Net error untrained", write: decimal, minor: true },
  { key: "failed", title: "Failed paths", write: whole, optional: true, minor: true },
  { key: "parameters", title: "Parameters", write: whole, minor: true },
  { key: "epochs", title: "Epochs", write: whole, minor: true },
  { key: "seconds", title: "Training time", write: duration, minor: true },
  { key: "differs", title: "Differs in" },
  { key: "started", title: "Started (UTC)", optional: true, minor: true, write: (text) => text.slice(0, 16).replace("T", " ") },
].filter((column) => !column.optional || distinctValues(data.runs.map((run) => run[column.key])).length > 1);

const textColumns = new Set(["name", "model", "status", "sweep", "dataset", "differs", "started"]);

function intervalOf(run) {
  return isNumber(run.net_error) ? `${decimal(run.low)} to ${decimal(run.high)}` : "–";
}

function styleOf(column) {
  return [!textColumns.has(column.key) && "number", column.minor && "minor", column.key].filter(Boolean).join(" ");
}

function headerCell(column) {
  const button = element("button", { type: "button" }, column.title);
  button.addEventListener("click", () => sortBy(column.key));
  return element("th", { scope: "col", "aria-sort": "none", class: styleOf(column), "data-key": column.key }, button);
}

function runRow(run, number) {
  const box = element("input", { type: "checkbox", "aria-label": `Choose ${run.model} ${run.name}` });
  box.addEventListener("change", () => choose(number, box.checked));
  const cells = columns.map((column, i) => {
    const value = run[column.key];
    const text = column.write ? column.write(value, run) : value ?? "–";
    return element(i ? "td" : "th", { ...(i ? {} : { scope: "row" }), class: styleOf(column) }, text);
  });
  return element("tr", {}, element("td", { class: "choice" }, box), ...cells);
}

const rows = data.runs.map(runRow);

function sortBy(key) {
  tableState.descending = tableState.key === key && !tableState.descending;
  tableState.key = key;
  for (const cell of find("run-table").tHead.rows[0].cells) {
    const order = tableState.descending ? "descending" : "ascending";
    if (cell.dataset.key) cell.setAttribute("aria-sort", cell.dataset.key === key ? order : "none");
  }
  find("run-table").tBodies[0].replaceChildren(...sortedNumbers().map((number) => rows[number]));
}

// Numbers of all runs in the order of the column; what has no value comes last either way.
function sortedNumbers() {
  const { key, descending } = tableState;
  const value = (number) => data.runs[number][key];
  const sign = descending ? -1 : 1;
  const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b);
  return data.runs.map((_, i) => i).sort((i, j) => {
    const [a, b] = [value(i), value(j)];
    if (a === null || b === null) return (a === null) - (b === null);
    return sign * compare(a, b);
  });
}

function choose(number, chosen) {
  if (chosen) tableState.chosen.add(number);
  else tableState.chosen.delete(number);
  rows[number].classList.toggle("chosen", chosen);
  rows[number].querySelector("input").checked = chosen;
  showCount();
  redrawFigures(["curves-plot", "overlay-plot"]);
}

function showCount() {
  const { shown, chosen } = tableState;
  find("count").textContent = `${shown.length} of ${many(data.runs.length, "run")} shown, ${chosen.size} chosen.`;
}

// The best run of each model, so that there is something to see at once.
function bestOfEachModel() {
  const best = new Map();
  data.runs.forEach((run, number) => {
    const before = best.get(run.model);
    if (isNumber(run.net_error) && !(before !== undefined && data.runs[before].net_error <= run.net_error)) {
      best.set(run.model, number);
    }
  });
  return [...best.values()].slice(0, 4);
}

function setUpRuns() {
  const table = find("run-table");
  const choice = element("th", { scope: "col", class: "choice" }, "Choose");
  table.tHead.replaceChildren(element("tr", {}, choice, ...columns.map(headerCell)));
  table.tBodies[0].replaceChildren(...rows);
  for (const number of bestOfEachModel()) choose(number, true);
  showCount();
  showUnfinished();
}

function showUnfinished() {
  const runs = data.runs.filter((run) => run.status !== "finished");
  if (!runs.length) return;
  find("unfinished").hidden = false;
  const titles = [{ title: "Run" }, { title: "Model" }, { title: "Status" }, { title: "What it said", text: true }];
  fillTable(find("unfinished").querySelector("table"), titles,
    runs.map((run) => [run.name, run.model, run.status, run.message ?? "–"]));
}
