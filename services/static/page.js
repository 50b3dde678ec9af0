// The page works without this file: its form is sent, and the answers come as a new page. With it, a picture can be
// dropped or pasted, every method is asked by itself, and its card is shown as soon as it is there.
"use strict";

const MOST_METHODS = 4;
const MOST_BYTES = 4_500_000; // the form around a picture takes some of the five megabytes
const MOST_SIDE = 2048; // of a picture that is made smaller

const find = (name) => document.getElementById(name);
const form = find("form");
const file = find("picture");
let running = null; // what stops the questions that are being asked

document.documentElement.classList.add("scripted");

function say(words) {
  find("progress").textContent = words;
}

function complain(words) {
  const line = document.createElement("p");
  line.textContent = words;
  find("error").replaceChildren(...(words ? [line] : []));
}

// --- the picture ---

function take(files) {
  const picture = [...files].find((one) => one.type.startsWith("image/"));
  if (!picture) {
    complain("That was no picture. Try a PNG, JPEG or WebP file.");
    return;
  }
  const list = new DataTransfer();
  list.items.add(picture);
  file.files = list.files;
  show();
}

function show() {
  const preview = find("preview");
  URL.revokeObjectURL(preview.src);
  preview.hidden = !file.files.length;
  if (file.files.length) {
    preview.src = URL.createObjectURL(file.files[0]);
    preview.alt = "The picture that you chose: " + file.files[0].name;
  }
  complain("");
}

// A photograph of a telephone is often larger than what is taken: a smaller copy says as much to the network.
async function shrink(picture) {
  if (picture.size <= MOST_BYTES) return picture;
  say("The picture has more than 5 MB: a smaller copy is made.");
  const image = await createImageBitmap(picture);
  const scale = Math.min(1, MOST_SIDE / Math.max(image.width, image.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(image.width * scale);
  canvas.height = Math.round(image.height * scale);
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.95));
}

// --- the questions ---

function chosen() {
  return [...form.querySelectorAll("input[name=method]:checked")].map((box) => box.value);
}

function limit() {
  const full = chosen().length >= MOST_METHODS;
  for (const box of form.querySelectorAll("input[name=method]")) box.disabled = full && !box.checked;
}

async function ask(picture, method, signal) {
  const sent = new FormData(form);
  sent.delete("control");
  sent.set("picture", picture, "picture");
  sent.set("method", method);
  const answer = await fetch("/", { method: "POST", body: sent, signal });
  const kind = answer.headers.get("Content-Type") || "";
  if (kind.startsWith("application/json")) {
    const refused = (await answer.json()).error;
    throw new Error(`${refused.rule}. It was: ${refused.got}. Try: ${refused.try}`);
  }
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const error = page.getElementById("error").textContent.trim();
  if (error) throw new Error(error);
  return [...page.querySelectorAll(".card")];
}

async function explain() {
  const methods = [...chosen(), form.querySelector("input[name=control]:checked").value];
  const stop = new AbortController();
  running = stop;
  begin(methods.length);
  try {
    const picture = await shrink(file.files[0]);
    for (const [done, method] of methods.entries()) {
      say(`${done} of ${methods.length} done, now: ${method.replaceAll("_", " ")}`);
      await add(picture, method, stop.signal);
      find("bar").value = done + 1;
    }
    say(`All ${methods.length} done.`);
  } catch (error) {
    say("");
    complain(stop.signal.aborted ? "Stopped. What was found stays below." : String(error.message || error));
  } finally {
    end();
  }
}

// A method that is refused says so, and the others go on.
async function add(picture, method, signal) {
  try {
    const cards = await ask(picture, method, signal);
    const shown = find("cards").children.length;
    find("cards").append(...cards.slice(shown ? 1 : 0)); // the picture as the model saw it is shown once
  } catch (error) {
    if (signal.aborted || !find("cards").children.length) throw error;
    complain(`${method.replaceAll("_", " ")}: ${error.message}`);
  }
}

function begin(count) {
  complain("");
  find("cards").replaceChildren();
  find("bar").max = count;
  find("bar").value = 0;
  find("bar").hidden = false;
  find("explain").setAttribute("aria-disabled", "true"); // disabled, it would lose the keyboard to the top of the page
  find("stop").hidden = false;
}

function end() {
  running = null;
  find("bar").hidden = true;
  find("explain").setAttribute("aria-disabled", "false");
  if (document.activeElement === find("stop")) find("explain").focus();
  find("stop").hidden = true;
}

// --- what people do ---

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (running) return;
  if (!chosen().length) complain("Choose at least one method.");
  else explain();
});
form.addEventListener("change", limit);
file.addEventListener("change", show);
find("stop").addEventListener("click", () => running && running.abort());
document.addEventListener("paste", (event) => event.clipboardData.files.length && take(event.clipboardData.files));
for (const name of ["dragenter", "dragover"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    find("drop").classList.add("over");
  });
}
document.addEventListener("dragleave", (event) => event.relatedTarget || find("drop").classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  find("drop").classList.remove("over");
  take(event.dataTransfer.files);
});
limit();
