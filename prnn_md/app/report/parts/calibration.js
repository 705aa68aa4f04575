// How many labels lie within the intervals that the spread over seeds promises.

const mostCurves = 12; // in the figure; the table has all

function calibrationFigure() {
  const diagonal = { x: [0, 1], y: [0, 1], type: "scatter", mode: "lines", hoverinfo: "skip", name: "as promised",
    line: { color: colour("--muted"), dash: "dot", width: 1.5 } };
  const curves = data.calibration.slice(0, mostCurves).map((item, i) => {
    const { colour: color, symbol, dash } = look(i);
    return {
      x: item.levels, y: item.shares, name: short(item.name, 60), type: "scatter", mode: "lines+markers",
      line: { color, dash }, marker: { color, symbol, size: 6 },
      hovertemplate: "%{y:.0%} of the labels in an interval for %{x:.0%}<extra></extra>",
    };
  });
  const axis = (title) => ({ title: { text: title }, range: [0, 1.02], tickformat: ".0%", dtick: 0.25 });
  return {
    traces: [diagonal, ...curves],
    layout: { height: 480, showlegend: true, xaxis: axis("labels that the interval is to hold"),
      yaxis: axis("labels that it holds") },
    summary: data.calibration.map((item) => `${item.name}: ${percent(shareAt(item, 0.95))} of the labels in the 95 % interval`).join("; "),
  };
}

const percent = (value) => `${Math.round(100 * value)} %`;
const shareAt = (item, level) => item.shares[item.levels.indexOf(level)];

function showCalibrationTable() {
  const titles = ["Training paths", "Runs", "Labels in the 50 % interval", "In the 95 % interval", "Spread over seeds",
    "Error of the mean", "Floor"];
  const columns = [{ title: "Setting", text: true }, ...titles.map((title) => ({ title, number: true }))];
  fillTable(find("calibration").querySelector("table"), columns, data.calibration.map((item) => [
    item.name, whole(item.n_train), whole(item.runs), percent(shareAt(item, 0.5)), percent(shareAt(item, 0.95)),
    decimal(item.spread), decimal(item.error), decimal(item.floor)]));
}

function setUpCalibration() {
  if (!data.calibration.length) return;
  find("calibration").hidden = false;
  if (data.calibration.length > mostCurves) {
    find("calibration").querySelector("figcaption").append(` The figure has the first ${mostCurves} of ${data.calibration.length} rows of the table.`);
  }
  addFigure("calibration-plot", calibrationFigure);
  showCalibrationTable();
}
