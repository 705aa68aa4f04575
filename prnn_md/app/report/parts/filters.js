// Which runs the table and the learning curves show.

const filterKeys = [
  ["model", "Model"], ["sweep", "Sweep"], ["dataset", "Dataset"], ["n_train", "Training paths"], ["status", "Status"],
];

const searchable = data.runs.map((run) => Object.values(run).join(" ").toLowerCase());

function filterControls() {
  return filterKeys.flatMap(([key, title]) => {
    const values = distinctValues(data.runs.map((run) => run[key]));
    if (values.length < 2) return [];
    values.sort((a, b) => (isNumber(a) && isNumber(b) ? a - b : String(a).localeCompare(String(b))));
    const options = values.map((value) => element("option", { value: String(value) }, String(value ?? "none")));
    const control = element("select", { "data-key": key }, element("option", { value: "" }, "all"), ...options);
    return [element("label", {}, `${title} `, control)];
  });
}

function applyFilters() {
  const words = find("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const chosen = [...find("choices").querySelectorAll("select")].filter((control) => control.value !== "");
  const passes = (run, number) =>
    words.every((word) => searchable[number].includes(word)) &&
    chosen.every((control) => String(run[control.dataset.key]) === control.value);
  tableState.shown = data.runs.flatMap((run, number) => (passes(run, number) ? [number] : []));
  const shown = new Set(tableState.shown);
  rows.forEach((row, number) => { row.hidden = !shown.has(number); });
  showCount();
  redrawFigures(["curves-plot"]);
}

function setUpFilters() {
  find("choices").append(...filterControls());
  find("search").addEventListener("input", applyFilters);
  find("choices").addEventListener("change", applyFilters);
  find("filters").addEventListener("submit", (event) => event.preventDefault());
  find("clear-filters").addEventListener("click", () => {
    find("filters").reset();
    applyFilters();
  });
  find("clear-chosen").addEventListener("click", () => [...tableState.chosen].forEach((number) => choose(number, false)));
}
