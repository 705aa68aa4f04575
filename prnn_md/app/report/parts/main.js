// Puts the page together.

function showOverview() {
  const finished = data.runs.filter((run) => run.status === "finished").length;
  const parts = [many(data.runs.length, "run"), `${finished} finished`, `models: ${models.join(", ")}`,
    `made ${data.made.slice(0, 16).replace("T", " ")} UTC`];
  find("overview").textContent = `${parts.join(" · ")}.`;
}

function showContents() {
  const links = [...document.querySelectorAll("main > section:not([hidden])")].map((section) =>
    element("li", {}, element("a", { href: `#${section.id}` }, section.dataset.link)));
  find("contents").replaceChildren(...links);
}

find("measure").append(...Object.entries(data.measures).map(([name, text]) => element("option", { value: name }, text)));
showOverview();
setUpRuns();
setUpFilters();
setUpCurves();
setUpOverlay();
setUpSamples();
setUpCalibration();
setUpSearches();
setUpOrigins();
setUpTheme();
setUpPrinting();
showContents();
// the table is there before any figure
if (document.readyState === "complete") watchFigures();
else window.addEventListener("load", () => setTimeout(watchFigures));
