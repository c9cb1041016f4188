/* Ages are worked out here, in the reader's browser: a page left open, or a site whose scheduler has died, turns stale by itself.
   A page that is served also follows the site's status.json, and takes the figures of the next publication when there is one. */
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
      write(word, element.dataset.staleWord || "Stale")
      word.classList.remove("pb-hidden")
    }
    const box = element.closest(".pb-tick")?.querySelector(".pb-box-ticked")
    if (box) {
      box.classList.remove("pb-box-ticked")
      box.setAttribute("aria-label", "open")
    }
    element.dispatchEvent(new CustomEvent("proofbook:stale", { bubbles: true }))
  }

  /* Who listens is told when the answer of the page changes, once and in its own words; figures and ages change in silence. */
  const answer = () => document.querySelector(".pb-answer-text, article .pb-status .pb-word")?.textContent || ""
  let told = answer()
  const voice = document.createElement("div")
  voice.className = "pb-hidden pb-voice"
  voice.setAttribute("role", "status")
  document.body.append(voice)

  function tell() {
    const now = answer()
    if (now === told) return
    told = now
    write(voice, document.querySelector(".pb-answer-text") ? now : `${document.querySelector("h1")?.firstChild.textContent.trim()}: ${now}`)
  }

  /* On paper nothing grows older: there, exact times stand. */
  let onPaper = false
  addEventListener("beforeprint", () => {
    onPaper = true
    for (const element of document.querySelectorAll("time.pb-age")) write(element, element.title)
  })
  addEventListener("afterprint", () => {
    onPaper = false
    tick()
  })

  function tick() {
    if (onPaper) return
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
    for (const element of document.querySelectorAll(".pb-due[data-due]")) {
      const left = (Date.parse(element.dataset.due) - now) / 1000
      element.classList.toggle("pb-overdue", left < 0)
      let said = element.querySelector(".pb-left")
      if (!said) {
        said = document.createElement("span")
        said.className = "pb-left"
        element.append(said)
      }
      write(said, left < 0 ? `, ${short(-left)} late` : `, ${short(left)} left`)
    }
    tell()
  }

  /* What the theme leaves without a name, or out of the keyboard's reach. */
  function reach() {
    for (const dialog of document.querySelectorAll("[role=dialog]:not([aria-label])")) dialog.setAttribute("aria-label", "Search")
    for (const wrap of document.querySelectorAll(".md-typeset__scrollwrap:not([tabindex])")) wrap.tabIndex = 0
    // A button at a block of code is no part of the site to navigate to.
    for (const nav of document.querySelectorAll(".md-code__nav:not([role])")) nav.setAttribute("role", "none")
  }

  /* The search tells of a hundred pages, and of one more where there are more; see search.js. */
  const count = document.querySelector(".md-search-result__meta")
  const counted = () => write(count, count.textContent.replace(/\b101\b/, "100+"))
  if (count) new MutationObserver(counted).observe(count, { childList: true })

  /* What was built into this page, before the theme's scripts decorate it: its live elements, and the text around them. */
  const LIVE = "[data-live]"
  const ARTICLE = ".md-content__inner"
  const inside = root => [...root.querySelectorAll(LIVE)].filter(element => !element.parentElement.closest(LIVE))

  function textAround(root) {
    const article = root.querySelector(ARTICLE)
    if (!article) return null
    const copy = article.cloneNode(true)
    for (const element of copy.querySelectorAll(LIVE)) element.replaceChildren()
    return copy.innerHTML
  }

  let around = textAround(document)
  let filled = inside(document).map(element => element.innerHTML)

  /* Puts fresh content into an element; what the reader had open stays open, and the keyboard stays where it was. */
  function put(element, fresh) {
    const open = [...element.querySelectorAll("details")].map(one => one.open)
    const active = element.contains(document.activeElement) ? document.activeElement : null
    const links = [...element.querySelectorAll("a, summary, [tabindex]")]
    const at = active ? links.indexOf(active) : -1
    element.replaceChildren(...document.importNode(fresh, true).childNodes)
    const details = [...element.querySelectorAll("details")]
    if (details.length === open.length) details.forEach((one, index) => (one.open = open[index]))
    if (at >= 0) [...element.querySelectorAll("a, summary, [tabindex]")][at]?.focus({ preventScroll: true })
  }

  /* All that is live on a page comes from one document of one publication, in one go. */
  function take(fresh) {
    const here = inside(document)
    const there = inside(fresh)
    const same = here.length === there.length && here.every((one, index) => one.dataset.live === there[index].dataset.live)
    if (same && textAround(fresh) === around) {
      there.forEach((one, index) => {
        if (one.innerHTML !== filled[index]) put(here[index], one)
      })
    } else {
      // The text has changed, too: the whole article is taken, so that no figure stands in a sentence of another publication.
      const [article, other] = [document, fresh].map(root => root.querySelector(ARTICLE))
      if (!article || !other) return
      article.replaceChildren(...document.importNode(other, true).childNodes)
      const outside = root => inside(root).filter(one => !one.closest(ARTICLE))
      const [mine, theirs] = [outside(document), outside(fresh)]
      if (mine.length === theirs.length) mine.forEach((one, index) => put(one, theirs[index]))
      document.title = fresh.title
    }
    around = textAround(fresh)
    filled = there.map(element => element.innerHTML)
    reach()
    tick()
  }

  const FOLLOW = 30_000
  let seen = null
  let asking = false

  async function ask(address) {
    const answer = await fetch(address, { cache: "no-cache", credentials: "same-origin" })
    return answer.ok ? answer : null
  }

  async function follow() {
    const link = document.querySelector("a[data-publication]")
    if (asking || !link || document.hidden || navigator.onLine === false) return
    asking = true
    try {
      const status = await ask(link.href)
      const number = status && (await status.json()).publication
      if (!number || number === seen) return
      const page = await ask(location.href.split("#")[0])
      // A page that is gone is left as it is, and turns stale by itself.
      if (page && !document.hidden) take(new DOMParser().parseFromString(await page.text(), "text/html"))
      if (page) seen = number
    } catch {
      // Nobody answers: what is shown turns stale by itself, and the next try is soon.
    } finally {
      asking = false
    }
  }

  reach()
  addEventListener("load", reach)
  // The theme decorates a page bit by bit, as its parts come into view.
  let waiting = false
  new MutationObserver(() => {
    if (waiting) return
    waiting = true
    requestAnimationFrame(() => {
      waiting = false
      reach()
    })
  }).observe(document.body, { childList: true, subtree: true })
  tick()
  setInterval(tick, TICK)
  document.addEventListener("visibilitychange", tick)
  // From the file system there is nobody to ask.
  if (location.protocol !== "file:") {
    setInterval(follow, FOLLOW)
    document.addEventListener("visibilitychange", follow)
    addEventListener("online", follow)
  }
})()
