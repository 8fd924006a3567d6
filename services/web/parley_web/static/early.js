// What cannot wait for the modules: a plain script at the top of every page.

// The chosen colours, before the first paint. Without a choice the page follows the system.
{
  const chosen = localStorage.getItem("theme");
  if (chosen) document.documentElement.dataset.theme = chosen;
}

// A script or style that did not arrive (the service restarts, the network changes) would leave the
// page half alive, so it is loaded again, with growing pauses. The modules count from anew.
addEventListener(
  "error",
  ({ target }) => {
    if (!["SCRIPT", "LINK"].includes(target.nodeName)) return;
    const tries = Number(sessionStorage.getItem("tries"));
    if (tries > 5) return;
    sessionStorage.setItem("tries", tries + 1);
    setTimeout(() => location.reload(), 250 * 2 ** tries);
  },
  true,
);
