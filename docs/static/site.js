// For readers who cannot see the page: what opens a branch of the contents has a name, and lines of a signature, which
// Sphinx writes as a list of meanings without words, are no list.
document.addEventListener("DOMContentLoaded", () => {
  for (const summary of document.querySelectorAll("li.has-children > details > summary")) {
    const page = summary.closest("li").querySelector("a");
    summary.setAttribute("aria-label", `Pages below: ${page.textContent.trim()}`);
  }
  for (const part of document.querySelectorAll(".sig > dl, .sig > dl > dd")) part.setAttribute("role", "presentation");
});
