const problems = [...document.querySelectorAll(".problem")];
const search = document.getElementById("search");
const filters = [...document.querySelectorAll(".filter")];

function show() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const outcome = filters.find((filter) => filter.getAttribute("aria-pressed") === "true").dataset.outcome;
  let shown = 0;
  for (const problem of problems) {
    const text = problem.dataset.search.toLowerCase();
    const fits = (!outcome || problem.dataset.outcome === outcome) && words.every((word) => text.includes(word));
    problem.hidden = !fits;
    shown += fits;
  }
  document.getElementById("shown").textContent = `${shown} of ${problems.length} shown`;
}

for (const filter of filters) {
  filter.addEventListener("click", () => {
    for (const other of filters) other.setAttribute("aria-pressed", String(other === filter));
    show();
  });
}
search.addEventListener("input", show);

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/" && !event.target.matches("input")) {
    event.preventDefault();
    search.focus();
  } else if (event.key === "Escape" && event.target === search) {
    search.value = "";
    show();
  }
});

function openTarget() {
  const target = document.getElementById(location.hash.slice(1));
  if (!target?.matches(".problem")) return;
  target.hidden = false;
  target.open = true;
  target.querySelector("summary").focus();
}
window.addEventListener("hashchange", openTarget);

const theme = document.getElementById("theme");
const root = document.documentElement;
const systemDark = window.matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (root.style.colorScheme ? root.style.colorScheme === "dark" : systemDark.matches);
const nameTheme = () => (theme.textContent = isDark() ? "Light" : "Dark");
theme.addEventListener("click", () => {
  root.style.colorScheme = isDark() ? "light" : "dark";
  nameTheme();
});
systemDark.addEventListener("change", nameTheme);

nameTheme();
document.getElementById("still").remove();
theme.hidden = false;
document.querySelector(".tools").hidden = false;
show();
openTarget();
