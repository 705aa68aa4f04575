// Figures are drawn when they come into view, and again when what they show changes.

const figures = new Map();
const narrow = () => root.clientWidth < 640;

const watcher = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    const figure = figures.get(target.id);
    figure.inView = isIntersecting;
    if (isIntersecting && figure.stale) draw(target.id);
  }
}, { rootMargin: "300px" });

// Plotly is large: the browser reads it when the page is there and the first figure is wanted.
function loadPlotly() {
  if (window.Plotly) return;
  const script = element("script");
  script.textContent = find("plotly").textContent;
  document.head.append(script);
}

// `build` returns {traces, layout, summary}; the summary is what a screen reader says.
function addFigure(id, build) {
  figures.set(id, { build, stale: true, inView: false });
}

function watchFigures() {
  for (const id of figures.keys()) watcher.observe(find(id));
}

function redrawFigures(ids = [...figures.keys()]) {
  for (const id of ids) {
    const figure = figures.get(id);
    if (!figure) continue;
    figure.stale = true;
    if (figure.inView) draw(id);
  }
}

function draw(id, width) {
  loadPlotly();
  const figure = figures.get(id);
  const { traces, layout, summary } = figure.build();
  const node = find(id);
  node.style.minHeight = "0";
  node.setAttribute("aria-label", summary);
  Plotly.react(node, traces, { ...withTheme(layout), width }, {
    responsive: true, displaylogo: false, displayModeBar: narrow() ? false : "hover",
    modeBarButtons: [["toImage", "zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]], // none that sends data
    toImageButtonOptions: { format: "svg", filename: id },
  });
  figure.stale = false;
}

function withTheme(layout) {
  const axis = {
    gridcolor: colour("--rule"), linecolor: colour("--muted"), zerolinecolor: colour("--rule"),
    showline: true, ticks: "outside", tickcolor: colour("--muted"), automargin: true,
  };
  const themed = {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", hovermode: "closest",
    font: { family: "system-ui, sans-serif", size: narrow() ? 12 : 13, color: colour("--ink") },
    margin: { l: 55, r: 15, t: 40, b: 45 }, dragmode: narrow() ? false : "zoom",
    hoverlabel: { bgcolor: colour("--raised"), bordercolor: colour("--rule"), font: { color: colour("--ink") } },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("--muted"), activecolor: colour("--ink") },
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" }, ...layout,
  };
  for (const name of Object.keys(layout)) {
    if (/^[xy]axis\d*$/.test(name)) themed[name] = { ...axis, ...layout[name] };
  }
  return themed;
}

const symbols = ["circle", "square", "diamond", "triangle-up", "cross", "star"];
const dashes = ["solid", "dash", "dot", "dashdot", "longdash"];

// Colour, symbol and dash number i: alike colours come with other dashes.
function look(i) {
  const turn = Math.floor(i / data.colours.length);
  return {
    colour: data.colours[i % data.colours.length],
    symbol: symbols[i % symbols.length],
    dash: dashes[turn % dashes.length],
  };
}

const models = distinctValues(data.runs.map((run) => run.model));
const lookOfModel = (model) => look(models.indexOf(model));

function setUpPrinting() {
  const forPaper = 680; // pixels: the width of a page
  window.addEventListener("beforeprint", () => {
    const before = root.dataset.theme;
    root.dataset.theme = "light";
    for (const id of figures.keys()) if (!find(id).closest("[hidden]")) draw(id, forPaper);
    for (const node of document.querySelectorAll("details")) node.open = true;
    if (before) root.dataset.theme = before;
    else delete root.dataset.theme;
  });
  window.addEventListener("afterprint", () => redrawFigures());
}
