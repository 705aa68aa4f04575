// Sweeps and searches: parallel coordinates of what was tried, and how much each parameter explains.

// From the worst to the best, after viridis; its ends are changed so that they stand out from the page.
const shades = ["#d9a900", "#5bb85d", "#21918c", "#3b528b", "#440154"];
const shadesInDark = ["#8a68bd", "#4f7fc4", "#2aa198", "#5ec962", "#fde725"];

// Places between 0 and 1 of the values of a parameter, and the ticks of its axis.
function scaleOf(parameter, texts) {
  if (parameter.kind === "choice") {
    const known = distinctValues(texts).sort();
    const place = (text) => (known.length > 1 ? known.indexOf(text) / (known.length - 1) : 0.5);
    return { places: texts.map(place), ticks: known.slice(0, 12).map((text) => [place(text), text]) };
  }
  const warp = parameter.kind === "logarithm" ? Math.log10 : (value) => value;
  const back = parameter.kind === "logarithm" ? (value) => 10 ** value : (value) => value;
  const warped = texts.map((text) => warp(Number(text)));
  const [low, high] = [Math.min(...warped), Math.max(...warped)];
  const place = (value) => (high > low ? (value - low) / (high - low) : 0.5);
  const few = distinctValues(texts);
  if (few.length <= 6) return { places: warped.map(place), ticks: few.map((text) => [place(warp(Number(text))), text]) };
  const write = (value) => (texts.every((text) => Number.isInteger(Number(text))) ? value.toFixed(0) : value.toPrecision(2));
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((part) => [part, String(Number(write(back(low + part * (high - low)))))]);
  return { places: warped.map(place), ticks };
}

function parallelFigure(search) {
  const trials = search.trials.filter((trial) => trial.values);
  const axes = [...search.parameters.map((parameter, i) =>
    ({ title: parameter.name, ...scaleOf(parameter, trials.map((trial) => trial.values[i])) })),
  { title: search.objective, ...scaleOf({ kind: "number" }, trials.map((trial) => String(trial.objective))) }];
  const order = trials.map((_, i) => i).sort((i, j) => trials[j].objective - trials[i].objective);
  const palette = isDark() ? shadesInDark : shades;
  const traces = palette.map((shade, k) => {
    const part = order.slice(Math.floor(k * order.length / 5), Math.floor((k + 1) * order.length / 5));
    return parallelTrace(part, axes, trials, shade, ["worst fifth", "", "middle fifth", "", "best fifth"][k]);
  });
  return { traces, layout: parallelLayout(axes), summary: searchSummary(search) };
}

function parallelTrace(numbers, axes, trials, shade, name) {
  const line = (pick) => numbers.flatMap((number) => [...axes.map((axis, k) => pick(axis, k, number)), null]);
  const text = numbers.flatMap((number) => [...axes.map(() =>
    `job ${trials[number].number}: ${decimal(trials[number].objective)}`), ""]);
  return {
    x: line((_, k) => k), y: line((axis, _, number) => axis.places[number]), text, type: "scatter",
    mode: "lines+markers", opacity: 0.75, line: { color: shade, width: 1.6 }, marker: { color: shade, size: 4 },
    name, showlegend: name !== "" && numbers.length > 0, hovertemplate: "%{text}<extra></extra>",
  };
}

function parallelLayout(axes) {
  const ticks = axes.flatMap((axis, k) => axis.ticks.map(([place, text]) => ({
    x: k, y: place, text: short(text, 14), showarrow: false, xanchor: "right", xshift: -5,
    font: { size: 11, color: colour("--muted") }, bgcolor: colour("--paper"), opacity: 0.9,
  })));
  const lines = axes.map((_, k) => ({ type: "line", x0: k, x1: k, y0: 0, y1: 1, layer: "below", line: { color: colour("--muted"), width: 1 } }));
  return {
    height: 400, annotations: ticks, shapes: lines, showlegend: true,
    xaxis: { tickvals: axes.map((_, k) => k), ticktext: axes.map((axis) => short(axis.title, narrow() ? 12 : 30)),
      range: [-0.35, axes.length - 0.85], showgrid: false, zeroline: false, showline: false, ticks: "" },
    yaxis: { visible: false, range: [-0.06, 1.06] }, margin: { l: 20, r: 20, t: 15, b: 45 },
  };
}

function searchSummary(search) {
  const best = search.trials.reduce((a, b) => (b.objective < a.objective ? b : a));
  const tried = search.parameters.map((parameter, i) => `${parameter.name}=${rounded(best.values[i])}`).join(", ");
  return `Parallel coordinates of ${many(search.trials.length, "job")}; the best is job ${best.number} with ` +
    `${search.objective} ${decimal(best.objective)} at ${tried}.`;
}

function importanceFigure(search) {
  const parameters = search.parameters.filter((parameter) => isNumber(parameter.importance))
    .sort((a, b) => a.importance - b.importance);
  return {
    traces: [{ type: "bar", orientation: "h", x: parameters.map((parameter) => parameter.importance),
      y: parameters.map((parameter) => parameter.name), marker: { color: data.colours[0] },
      text: parameters.map((parameter) => parameter.importance.toFixed(2)), textposition: "outside", cliponaxis: false,
      hoverinfo: "skip" }],
    layout: { height: 90 + 34 * parameters.length, xaxis: { title: { text: "explained share of the variance" },
      range: [0, 1.05] }, yaxis: { showgrid: false }, showlegend: false },
    summary: `Importance: ${parameters.map((p) => `${p.name} ${p.importance.toFixed(2)}`).reverse().join(", ")}.`,
  };
}

function addSearch(search, k) {
  const jobs = Object.entries(search.states).map(([state, count]) => `${count} ${state}`).join(", ");
  const part = find("searches");
  part.append(element("h3", {}, search.name), element("p", { class: "note" }, `${search.sweeper}: ${jobs}.`));
  if (search.trials.length < 2) return;
  const caption = `${searchSummary(search)} Colours go from the worst fifth of the jobs to the best.`;
  part.append(element("figure", {}, element("div", { class: "plot", id: `parallel-${k}`, role: "img" }),
    element("figcaption", {}, caption)));
  addFigure(`parallel-${k}`, () => parallelFigure(search));
  if (!search.parameters.some((parameter) => isNumber(parameter.importance))) return;
  part.append(element("figure", {}, element("div", { class: "plot", id: `importance-${k}`, role: "img" }),
    element("figcaption", {}, `Importance among finished jobs: the share of the variance of the ranks of ` +
      `${search.objective} between jobs with alike values (epsilon squared). What parameters do together does not count.`)));
  addFigure(`importance-${k}`, () => importanceFigure(search));
}

function setUpSearches() {
  find("searches").hidden = !data.searches.length;
  data.searches.forEach(addSearch);
}
