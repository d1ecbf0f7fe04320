// Puts it together once the document is read.

/** Goes to a section: its heading gets the focus, the URL keeps the filters. */
function visit(id) {
  document.getElementById(`${id}-title`).focus({ preventScroll: true });
  document.getElementById(id).scrollIntoView();
}

function theme() {
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const dark = () =>
    root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const name = () => (button.textContent = dark() ? "Light" : "Dark");
  button.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    name();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", name);
  name();
  button.hidden = false;
}

/** Tables that are wider than the page can be scrolled by the keyboard too. */
function scrolling() {
  const watch = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const wide = target.scrollWidth > target.clientWidth;
      target.tabIndex = wide ? 0 : -1;
      if (wide) set(target, { role: "region", "aria-label": target.querySelector("caption").textContent });
      else target.removeAttribute("tabindex");
    }
  });
  for (const node of document.querySelectorAll(".scroll")) watch.observe(node);
}

function start() {
  const scan = JSON.parse(document.getElementById("document").textContent) ?? {};
  const figures = new Figures(scan);
  const images = figures.byImage();
  const time = document.getElementById("generated");
  if (figures.generated !== null) {
    const zone = { dateStyle: "long", timeStyle: "short", timeZone: "UTC" };
    time.textContent = `${new Date(figures.generated).toLocaleString("en-GB", zone)} UTC`;
  }
  theme();
  document.getElementById("rest").hidden = false;
  document.getElementById("sections").hidden = false;
  namespaces(figures);
  ages(figures, images);
  worstImages(images);
  unchecked(figures);
  drift(figures);
  exceptions(figures);
  new Explorer(figures);
  scrolling();
  // What a link names was not there yet when the browser looked for it.
  const section = location.hash.slice(1);
  if (document.getElementById(`${section}-title`)) visit(section);
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.('a[href^="#"]');
    if (!link) return;
    const target = link.getAttribute("href").slice(1);
    if (!target.includes("=")) {
      event.preventDefault();
      visit(target);
    } else if (location.hash === `#${target}`) {
      // The fragment stays the same, so nothing else would tell.
      dispatchEvent(new HashChangeEvent("hashchange"));
    }
  });
}

start();
