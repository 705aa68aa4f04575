// Configurations, and the code and machines behind the runs.

function setUpOrigins() {
  const { varied, shared } = data.configurations;
  const times = ([value, count]) => `${value} (${count})`;
  fillTable(find("configurations").querySelector("table"),
    [{ title: "Key" }, { title: "Most runs (how many)", text: true }, { title: "Others (how many)", text: true }],
    varied.map(({ key, values }) => [key, times(values[0]), others(values.slice(1)).map(times).join(", ")]));
  find("configurations").querySelector(".scroll").hidden = !varied.length;
  fillTable(find("shared"), [{ title: "Key" }, { title: "Value", text: true }], shared);
  showEnvironments();
}

const others = (values) => (values.length > 30 ? [...values.slice(0, 29), ["…", values.length - 29]] : values);

// One column for every environment; names whose values differ come first.
function showEnvironments() {
  const names = distinctValues(data.environments.flatMap((one) => Object.keys(one.about)));
  const differs = (name) => distinctValues(data.environments.map((one) => one.about[name])).length > 1;
  const ordered = [...names.filter(differs), ...names.filter((name) => !differs(name))];
  const columns = data.environments.map((one) => ({ title: many(one.runs, "run"), text: true }));
  fillTable(find("environments").querySelector("table"), [{ title: "" }, ...columns],
    ordered.map((name) => [name, ...data.environments.map((one) => one.about[name] ?? "–")]));
}
