// Learning curves: one trace for all runs of a model, with gaps between the runs.

function curvesFigure() {
  const which = find("curve").value;
  const withCurve = tableState.shown.filter((number) => data.curves[number][which]);
  const background = models.flatMap((model) => {
    const numbers = withCurve.filter((number) => data.runs[number].model === model && !isChosen(number));
    return numbers.length ? [curvesTrace(model, numbers, which), curvesKey(model, numbers)] : [];
  });
  const foreground = withCurve.filter(isChosen).map((number) => chosenCurve(number, which));
  const axis = { title: { text: `error / stress scale` }, type: find("logarithmic").checked ? "log" : "linear" };
  if (axis.type === "linear") axis.rangemode = "tozero";
  return {
    traces: [...background, ...foreground],
    layout: { height: 420, xaxis: { title: { text: "epochs trained" }, rangemode: "tozero" }, yaxis: axis },
    summary: `Learning curves of ${many(withCurve.length, "run")}; final values are in the table of runs.`,
  };
}

// An entry of the legend in full colour.
const curvesKey = (model, numbers) => ({
  x: [null], y: [null], type: "scatter", mode: "lines", name: `${model} (${numbers.length})`, hoverinfo: "skip",
  line: { color: lookOfModel(model).colour, width: 1.5 },
});

const isChosen = (number) => tableState.chosen.has(number);

function curvesTrace(model, numbers, which) {
  const [x, y, text] = [[], [], []];
  for (const number of numbers) {
    const curve = data.curves[number][which];
    x.push(...curve.x, null);
    y.push(...curve.y, null);
    text.push(...curve.x.map(() => data.runs[number].name), "");
  }
  const opacity = numbers.length > 30 ? 0.35 : 0.7;
  return {
    x, y, text, type: "scatter", mode: lineMode(x, numbers), opacity, showlegend: false,
    line: { color: lookOfModel(model).colour, width: 1 }, hovertemplate: "%{text}<br>epoch %{x}: %{y:.3f}<extra></extra>",
  };
}

function chosenCurve(number, which) {
  const run = data.runs[number];
  const others = [...tableState.chosen].filter((other) => data.runs[other].model === run.model);
  const { x, y } = data.curves[number][which];
  return {
    x, y, type: "scatter", mode: lineMode(x, [number]), name: `${run.model} ${short(run.name, 30)}`,
    line: { color: lookOfModel(run.model).colour, width: 3, dash: dashes[others.indexOf(number) % dashes.length] },
    hovertemplate: `${run.name}<br>epoch %{x}: %{y:.3f}<extra></extra>`,
  };
}

const lineMode = (x, numbers) => (x.length < 12 * numbers.length ? "lines+markers" : "lines");

function setUpCurves() {
  if (!data.curves.some((curve) => curve.valid || curve.train)) {
    find("curves").hidden = true;
    return;
  }
  for (const id of ["curve", "logarithmic"]) find(id).addEventListener("change", () => redrawFigures(["curves-plot"]));
  addFigure("curves-plot", curvesFigure);
}
