// Stresses of chosen runs along a test path, over the labels with a band of two standard errors.

const mostOverlaid = 8;
const unpackedOnce = new Map(); // arrays by what they were packed in

function values(packed, path, component) {
  if (!unpackedOnce.has(packed)) unpackedOnce.set(packed, unpacked(packed));
  const [, components, points] = packed.shape;
  const start = (path * components + component) * points;
  return unpackedOnce.get(packed).slice(start, start + points);
}

function overlaid() {
  const set = Number(find("overlay-set").value);
  const able = [...tableState.chosen].filter((number) => data.overlays.runs[number]?.set === set);
  return { drawn: able.slice(0, mostOverlaid), left: tableState.chosen.size - Math.min(able.length, mostOverlaid) };
}

function overlayFigure() {
  const set = data.overlays.sets[Number(find("overlay-set").value)];
  const path = Number(find("overlay-path").value);
  const against = find("overlay-axis").value;
  const { drawn } = overlaid();
  const abscissa = (component) => (against === "strain" ? values(set.strain, path, component) : set.increments);
  const traces = data.overlays.components.flatMap((_, component) => {
    const place = { x: abscissa(component), xaxis: axisName("x", component), yaxis: axisName("y", component),
      type: "scatter", mode: "lines", showlegend: component === 0 };
    return [...labelTraces(set, path, component, place, against), ...drawn.map((number, i) => ({
      ...place, y: values(data.overlays.runs[number].trained, path, component), legendgroup: `run ${number}`,
      name: `${data.runs[number].model} ${short(data.runs[number].name, 30)}`,
      line: { color: look(i).colour, width: 1.8, dash: look(i).dash },
    }))];
  });
  showOverlayCaption(set);
  const about = set.paths[path];
  return {
    traces, layout: overlayLayout(set, against),
    summary: `Six stress components along test path ${about.number} (${about.family}): label and ${many(drawn.length, "chosen run")}.`,
  };
}

// The band is a closed outline; along a strain that turns back it is left out, where it would cover itself.
function labelTraces(set, path, component, place, against) {
  const stress = values(set.stress, path, component);
  const error = values(set.error, path, component);
  const label = { ...place, y: stress, name: "label", legendgroup: "label", line: { color: colour("--ink"), width: 2 } };
  if (against === "strain" || !error.some((value) => value > 0)) return [label];
  const upper = stress.map((value, i) => value + 2 * error[i]);
  const lower = stress.map((value, i) => value - 2 * error[i]);
  const band = { ...place, x: [...place.x, ...[...place.x].reverse()], y: [...upper, ...lower.reverse()],
    fill: "toself", fillcolor: colour("--band"), line: { width: 0 }, name: "label ± 2 standard errors",
    legendgroup: "band", hoverinfo: "skip" };
  return [band, label];
}

const axisName = (letter, component) => (component ? `${letter}${component + 1}` : letter);
const axisKey = (letter, component) => `${letter}axis${component ? component + 1 : ""}`;

function overlayLayout(set, against) {
  const across = root.clientWidth < 640 ? 1 : root.clientWidth < 1000 ? 2 : 3;
  const down = 6 / across;
  const layout = { height: 90 + 230 * down, grid: { rows: down, columns: across, pattern: "independent",
    xgap: 0.22, ygap: 0.3 }, legend: { orientation: "h", x: 0, y: 1 + 0.09 / down, yanchor: "bottom" } };
  data.overlays.components.forEach((name, component) => {
    layout[axisKey("x", component)] = { title: { text: against === "strain" ? `E<sub>${name}</sub>` : "increment", standoff: 4 } };
    layout[axisKey("y", component)] = { title: { text: `T<sub>${name}</sub>`, standoff: 4 } };
  });
  return layout;
}

function showOverlayCaption(set) {
  const { drawn, left } = overlaid();
  const rest = left > 0 ? ` ${left} more are chosen, which have no prediction on these paths or no room.` : "";
  const none = drawn.length ? "" : " Choose runs in the table to see their predictions.";
  find("overlay-caption").textContent = `Biot stress in ${set.units.replace("epsilon", "ε").replace("sigma", "σ")
    .replace("^3", "³")}; ${many(drawn.length, "chosen run")} over the label. In the page are ${many(set.paths.length, "path")}` +
    ` of every run.${rest}${none}`;
}

function showPaths() {
  const set = data.overlays.sets[Number(find("overlay-set").value)];
  find("overlay-path").replaceChildren(...set.paths.map((path, i) =>
    element("option", { value: String(i) }, `${path.number}, ${path.family}`)));
}

function setUpOverlay() {
  if (!data.overlays.sets.length) return;
  find("overlay").hidden = false;
  const counts = data.overlays.sets.map((_, i) => Object.values(data.overlays.runs).filter((run) => run.set === i).length);
  find("overlay-set").append(...counts.map((count, i) =>
    element("option", { value: String(i) }, `${i + 1} (${many(count, "run")})`)));
  find("overlay-set").closest("label").hidden = counts.length < 2;
  showPaths();
  find("overlay-set").addEventListener("change", showPaths);
  for (const id of ["overlay-set", "overlay-path", "overlay-axis"]) {
    find(id).addEventListener("change", () => redrawFigures(["overlay-plot"]));
  }
  addFigure("overlay-plot", overlayFigure);
}
