/* Ages are worked out here, in the reader's browser: a page left open, or a site whose scheduler has died, turns stale by itself. */
(() => {
  "use strict"

  const TICK = 1000
  const spans = [[120, 1, "s"], [7200, 60, "min"], [172800, 3600, "h"], [Infinity, 86400, "d"]]

  function short(seconds) {
    const whole = Math.max(0, Math.floor(seconds))
    const [, size, unit] = spans.find(([most]) => whole < most)
    return `${Math.floor(whole / size)} ${unit}`
  }

  const age = (then, now) => (now - then < 10_000 ? "just now" : `${short((now - then) / 1000)} ago`)

  function write(element, text) {
    if (element.textContent !== text) element.textContent = text
  }

  /* Age only ever worsens: what is critical or unknown stays so. */
  const worsens = new Set(["ok", "warning"])

  function turnStale(element) {
    if (element.classList.contains("pb-turned")) return
    element.classList.add("pb-turned")
    const was = element.dataset.status
    if (!worsens.has(was)) return
    element.dataset.status = "stale"
    element.classList.replace(`pb-${was}`, "pb-stale")
    if (element.dataset.staleText) write(element, element.dataset.staleText)
    const use = element.querySelector("use")
    if (use) use.setAttribute("href", "#pb-stale")
    const word = element.querySelector(".pb-word")
    if (word) {
      write(word, "Stale")
      word.classList.remove("pb-hidden")
    }
    const box = element.closest(".pb-tick")?.querySelector(".pb-box-ticked")
    if (box) {
      box.classList.remove("pb-box-ticked")
      box.setAttribute("aria-label", "open")
    }
    element.dispatchEvent(new CustomEvent("proofbook:stale", { bubbles: true }))
  }

  function tick() {
    const now = Date.now()
    for (const element of document.querySelectorAll("[data-fresh-for]:not(.pb-turned)")) {
      const due = Date.parse(element.dataset.measured) + Number(element.dataset.freshFor) * 1000
      if (now >= due) turnStale(element)
    }
    for (const element of document.querySelectorAll("time.pb-age"))
      write(element, age(Date.parse(element.getAttribute("datetime")), now))
    for (const element of document.querySelectorAll(".pb-age-after[data-at]"))
      write(element, `, ${age(Date.parse(element.dataset.at), now)}`)
    for (const element of document.querySelectorAll(".pb-span[data-since]"))
      write(element, `, ${short((now - Date.parse(element.dataset.since)) / 1000)}`)
  }

  /* What the theme leaves without a name, or out of the keyboard's reach. */
  function reach() {
    for (const dialog of document.querySelectorAll("[role=dialog]:not([aria-label])")) dialog.setAttribute("aria-label", "Search")
    for (const wrap of document.querySelectorAll(".md-typeset__scrollwrap:not([tabindex])")) wrap.tabIndex = 0
  }

  reach()
  addEventListener("load", reach)
  tick()
  setInterval(tick, TICK)
  document.addEventListener("visibilitychange", tick)
})()
