"use strict";

// Tables: clicking a header sorts by it; clicking it again reverses the order.
function value(cell) {
  const text = cell.dataset.sort ?? cell.textContent.trim();
  return Number(text.replace("−", "-").replace("∞", "Infinity"));
}

function sort(header) {
  const row = header.parentElement;
  const body = header.closest("table").tBodies[0];
  const column = header.cellIndex;
  const names = column === 0;
  // Names start at A, figures at the highest.
  const first = names ? "ascending" : "descending";
  const second = names ? "descending" : "ascending";
  const order = header.getAttribute("aria-sort") === first ? second : first;
  for (const other of row.cells) other.setAttribute("aria-sort", "none");
  header.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  const rows = Array.from(body.rows);
  rows.sort((a, b) => {
    const [one, two] = [a.cells[column], b.cells[column]];
    if (names) return sign * one.textContent.localeCompare(two.textContent, undefined, { numeric: true });
    const [x, y] = [value(one), value(two)];
    // Undefined values come last in either order; equal infinities are not subtracted.
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
    return x === y ? 0 : sign * (x < y ? -1 : 1);
  });
  body.append(...rows);
}

for (const header of document.querySelectorAll("table.sortable thead th")) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...header.childNodes);
  button.addEventListener("click", () => sort(header));
  header.append(button);
  header.setAttribute("aria-sort", "none");
}

// Sounds: one at a time; another of the same example continues from the same moment.
const players = Array.from(document.querySelectorAll("audio"));

function draw(example) {
  const sounds = Array.from(example.querySelectorAll("audio"));
  const heard = sounds.find((audio) => !audio.paused) ?? example.heard;
  if (!heard?.duration) return;
  for (const cursor of example.querySelectorAll(".cursor")) {
    cursor.hidden = false;
    cursor.style.left = `${(100 * heard.currentTime) / heard.duration}%`;
  }
  if (!heard.paused) requestAnimationFrame(() => draw(example));
}

for (const audio of players) {
  const example = audio.closest(".example");
  audio.addEventListener("play", () => {
    const before = example.heard;
    for (const other of players) {
      if (other === audio || other.paused) continue;
      if (other === before) audio.currentTime = other.currentTime;
      other.pause();
    }
    example.heard = audio;
    draw(example);
  });
  audio.addEventListener("seeked", () => draw(example));
  const picture = audio.closest("figure").querySelector("img");
  picture.classList.add("seek");
  picture.addEventListener("click", (event) => {
    for (const other of players) other.pause();
    audio.currentTime = (audio.duration * event.offsetX) / picture.clientWidth;
    audio.play().catch(() => {}); // another click may stop it before it starts
  });
}

for (const hint of document.querySelectorAll(".script")) hint.hidden = false;
