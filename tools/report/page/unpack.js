"use strict";

// Transcripts are packed (gzip in base64) until they are opened.
async function unpack(packed) {
  const bytes = Uint8Array.from(atob(packed), (char) => char.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

async function fill(details) {
  const source = document.getElementById(details.dataset.packed);
  const place = details.querySelector(".transcript");
  if (!details.open || place.dataset.filled) return;
  place.dataset.filled = "yes";
  try {
    place.innerHTML = await unpack(source.textContent);
  } catch (error) {
    place.textContent = `This transcript cannot be shown: ${error.message}`;
  }
}

for (const details of document.querySelectorAll("details[data-packed]")) {
  details.addEventListener("toggle", () => fill(details));
  fill(details); // a browser may have kept it open
}
