// Configurations, and the code and machines behind the runs.

function setUpOrigins() {
  const { varied, shared } = data.configurations;
  fillTable(find("configurations").querySelector("table"),
    [{ title: "Key" }, { title: "Most runs (how many)", text: true }, { title: "Others (how many)", text: true }],
    varied.map(({ key, values }) => [key, times(values[0]), others(values.slice(1)) || "–"]));
  find("configurations").querySelector(".scroll").hidden = !varied.length;
  fillTable(find("shared"), [{ title: "Key" }, { title: "Value", text: true }], shared);
  showEnvironments();
}

// Texts of the values, the first ones where there are many.
function others(values) {
  const shown = values.length > 12 ? values.slice(0, 10) : values;
  const left = values.length - shown.length;
  return shown.map(times).join(", ") + (left ? ` and ${left} other values` : "");
}

const times = ([value, count]) => `${rounded(value)} (${count})`;

const rounded = (text) => (text.length > 7 && text.trim() && isFinite(text) ? String(Number(Number(text).toPrecision(4))) : text);

// One column for every environment; names whose values differ come first.
function showEnvironments() {
  const names = distinctValues(data.environments.flatMap((one) => Object.keys(one.about)));
  const differs = (name) => distinctValues(data.environments.map((one) => one.about[name])).length > 1;
  const ordered = [...names.filter(differs), ...names.filter((name) => !differs(name))];
  const columns = data.environments.map((one) => ({ title: many(one.runs, "run"), text: true }));
  fillTable(find("environments").querySelector("table"), [{ title: "" }, ...columns],
    ordered.map((name) => [name, ...data.environments.map((one) => one.about[name] ?? "–")]));
}
