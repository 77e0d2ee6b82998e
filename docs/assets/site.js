/* What the theme leaves out for readers with a keyboard or a screen reader. */
document.querySelector("[data-md-component=search]")?.setAttribute("aria-label", "Search");

function reachable() {
  for (const part of document.querySelectorAll(".md-content :is(pre > code, .md-typeset__scrollwrap)"))
    if (part.scrollWidth > part.clientWidth || part.scrollHeight > part.clientHeight) part.tabIndex = 0;
  for (const corner of document.querySelectorAll(".md-content th:empty"))
    corner.replaceWith(document.createElement("td")); // a heading without a word
  for (const buttons of document.querySelectorAll(".md-code__nav")) buttons.setAttribute("role", "none");
}
addEventListener("load", reachable);
addEventListener("resize", reachable);
