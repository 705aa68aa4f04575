// Means over seeds: of groups, along the number of training paths, and of differences at the same seed.

const measure = () => find("measure").value;

// Rows with single values, a mean and its interval, drawn one below the other.
function stripFigure(items, title) {
  const y = items.map((_, i) => i);
  const points = items.flatMap((item, i) => item.values.map((value) => [value, i]));
  const mean = (item) => item.sample.mean;
  const mark = (item) => item.look ?? look(0);
  return {
    traces: [
      { x: points.map(([x]) => x), y: points.map(([, i]) => i), type: "scatter", mode: "markers", hoverinfo: "x",
        marker: { color: points.map(([, i]) => mark(items[i]).colour), symbol: "circle-open", size: 7, opacity: 0.8 } },
      { x: items.map(mean), y, type: "scatter", mode: "markers", text: items.map((item) => item.name),
        hovertemplate: "%{text}<br>mean %{x:.3f}<extra></extra>",
        marker: { color: items.map((item) => mark(item).colour), symbol: items.map((item) => mark(item).symbol), size: 11 },
        error_x: { type: "data", array: items.map((item) => item.sample.half_width ?? 0), thickness: 2, width: 5,
          color: colour("--muted") } },
    ],
    layout: {
      height: 90 + (narrow() ? 42 : 30) * items.length, showlegend: false,
      xaxis: { title: { text: title }, zeroline: true, zerolinecolor: colour("--muted"), zerolinewidth: 2 },
      ...stripNames(items.map((item) => item.name)),
    },
    summary: items.map((item) => `${item.name}: mean ${decimal(mean(item))}`).join("; "),
  };
}

// Names left of their rows, above them where there is no room.
function stripNames(names) {
  const y = names.map((_, i) => i);
  const range = [names.length - 0.4, narrow() ? -0.9 : -0.6];
  if (!narrow()) return { yaxis: { tickvals: y, ticktext: names.map((name) => short(name, 60)), range, showgrid: false } };
  const annotations = names.map((name, i) => ({ text: short(name, 50), x: 0, xref: "paper", xanchor: "left", y: i - 0.42,
    showarrow: false, font: { size: 11, color: colour("--muted") } }));
  return { annotations, yaxis: { tickvals: [], range, showgrid: false }, margin: { l: 15, r: 15, t: 40, b: 45 } };
}

const mostRows = 40; // in a figure; tables have all

function seedItems() {
  return data.seeds.filter((group) => group.samples[measure()]).map((group) => ({
    name: group.name, sample: group.samples[measure()], look: lookOfModel(group.model), group,
    values: group.runs.map((number) => data.runs[number][measure()]).filter(isNumber),
  })).sort((a, b) => a.sample.mean - b.sample.mean);
}

function showSeedTable() {
  const columns = [{ title: "Setting", text: true }, ...["Training paths", "Runs", "Mean", "95 % interval",
    "Standard deviation", "Least", "Largest"].map((title) => ({ title, number: true }))];
  fillTable(find("seeds").querySelector("table"), columns, seedItems().map(({ name, sample, group, values }) => [
    name, whole(group.n_train), whole(sample.n), decimal(sample.mean), interval(sample.mean, sample.half_width),
    decimal(sample.spread), decimal(Math.min(...values)), decimal(Math.max(...values))]));
}

function efficiencyFigure() {
  const counts = distinctValues(data.efficiency.flatMap((series) => series.points.map((point) => point.n_train)));
  const traces = data.efficiency.map((series, i) => {
    const points = series.points.filter((point) => point.samples[measure()]);
    const values = points.map((point) => point.samples[measure()]);
    const { colour: color, symbol, dash } = look(i);
    return {
      x: points.map((point) => point.n_train), y: values.map((value) => value.mean), name: short(series.name, 60),
      type: "scatter", mode: "lines+markers", line: { color, dash }, marker: { color, symbol, size: 9 },
      error_y: { type: "data", array: values.map((value) => value.spread ?? 0), color, thickness: 1.5, width: 4 },
      text: values.map((value) => many(value.n, "run")),
      hovertemplate: "%{x} training paths: %{y:.3f} (%{text})<extra></extra>",
    };
  });
  const axis = { title: { text: "training paths" }, type: "log", tickvals: counts, ticktext: counts.map(String) };
  return {
    traces,
    layout: { height: 440, showlegend: true, xaxis: axis,
      yaxis: { title: { text: data.measures[measure()] }, rangemode: "tozero" } },
    summary: `Data efficiency: ${efficiencyRows().map((row) => `${row[0]} with ${row[1]}: ${row[3]}`).join("; ")}`,
  };
}

function efficiencyRows() {
  return data.efficiency.flatMap((series) => series.points.flatMap((point) => {
    const sample = point.samples[measure()];
    return sample ? [[series.name, whole(point.n_train), whole(sample.n), decimal(sample.mean), decimal(sample.spread)]] : [];
  }));
}

function showEfficiencyTable() {
  const titles = ["Training paths", "Runs", "Mean", "Standard deviation"].map((title) => ({ title, number: true }));
  fillTable(find("efficiency").querySelector("table"), [{ title: "Setting", text: true }, ...titles], efficiencyRows());
}

function pairItems() {
  return data.pairs.filter((pair) => pair.samples[measure()]).map((pair) => ({
    name: `${pair.from} → ${pair.to}${pair.key === "model" ? "" : ` (${pair.key})`}${pair.shared ? `; ${pair.shared}` : ""}`, pair,
    sample: pair.samples[measure()], values: pair.values[measure()],
  }));
}

function showPairTable() {
  const columns = [{ title: "What differs", text: true }, { title: "From", text: true }, { title: "To", text: true },
    { title: "At", text: true }, ...["Pairs", "Mean difference", "95 % interval", "Standard deviation"].map((title) => ({ title, number: true }))];
  fillTable(find("pairs").querySelector("table"), columns, pairItems().map(({ pair, sample }) => [
    pair.key, pair.from, pair.to, pair.shared || "–", whole(sample.n), signed(sample.mean),
    interval(sample.mean, sample.half_width, signed), decimal(sample.spread)]));
}

function showSampleTables() {
  showSeedTable();
  showEfficiencyTable();
  showPairTable();
}

function setUpSamples() {
  const title = () => data.measures[measure()];
  const parts = {
    seeds: () => stripFigure(seedItems().slice(0, mostRows), title()),
    efficiency: efficiencyFigure,
    pairs: () => stripFigure(pairItems().slice(0, mostRows), `difference in ${title()}`),
  };
  for (const [name, build] of Object.entries(parts)) {
    if (!data[name].length) continue;
    find(name).hidden = false;
    if (data[name].length > mostRows && name !== "efficiency") {
      find(name).querySelector("figcaption").append(` The figure has the first ${mostRows} of ${data[name].length} rows of the table.`);
    }
    addFigure(`${name}-plot`, build);
  }
  showSampleTables();
  find("measure").addEventListener("change", () => {
    showSampleTables();
    redrawFigures(["seeds-plot", "efficiency-plot", "pairs-plot"]);
  });
}
