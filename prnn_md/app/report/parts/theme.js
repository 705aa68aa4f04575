// Light and dark: what the system prefers, until the reader chooses.

const root = document.documentElement;
const systemPrefersDark = matchMedia("(prefers-color-scheme: dark)");
const probe = document.body.appendChild(element("span", { hidden: "" }));

// A colour of the style sheet as it is in the present theme, such as colour("--ink").
function colour(name) {
  probe.style.color = `var(${name})`;
  return getComputedStyle(probe).color;
}

const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : systemPrefersDark.matches);

function showTheme() {
  find("theme").setAttribute("aria-pressed", String(isDark()));
  redrawFigures();
}

function setUpTheme() {
  find("theme").addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    showTheme();
  });
  systemPrefersDark.addEventListener("change", showTheme);
  showTheme();
}
