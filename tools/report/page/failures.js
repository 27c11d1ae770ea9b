
const failures = [...document.querySelectorAll(".failure")];
const open = document.getElementById("open");
const labels = new Map();

function stored(key, text) {
  try {
    if (text === undefined) return localStorage.getItem(`failure ${key}`);
    localStorage.setItem(`failure ${key}`, text);
  } catch {
    // Without storage the labels last as long as the page is open.
  }
  return null;
}

function count() {
  const done = failures.filter((failure) => labels.get(failure.dataset.id)?.label).length;
  document.getElementById("done").textContent = `${done} of ${failures.length} labelled.`;
}

for (const failure of failures) {
  const { id, key } = failure.dataset;
  const cause = failure.querySelector("select");
  const note = failure.querySelector("input");
  const before = JSON.parse(stored(key) ?? "null");
  if (before) {
    cause.value = before.label ?? "";
    note.value = before.note;
    labels.set(id, before);
  }
  failure.addEventListener("input", () => {
    const label = { id, label: cause.value || null, note: note.value };
    labels.set(id, label);
    stored(key, JSON.stringify(label));
    count();
  });
}
count();

open.addEventListener("change", () => {
  for (const failure of failures) failure.hidden = open.checked && Boolean(labels.get(failure.dataset.id)?.label);
});

document.getElementById("save").addEventListener("click", () => {
  const lines = [...labels.values()].map((label) => `${JSON.stringify(label)}\n`);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(lines, { type: "application/jsonl" }));
  link.download = "labels.jsonl";
  link.click();
  URL.revokeObjectURL(link.href);
});
