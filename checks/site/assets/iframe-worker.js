/* Browsers start no worker for a page of the file system. There, the search runs in a hidden frame instead. */
(() => {
  "use strict"
  if (location.protocol !== "file:") return

  class FrameWorker extends EventTarget {
    constructor(address) {
      super()
      this.frame = document.createElement("iframe")
      this.frame.hidden = true
      document.body.appendChild(this.frame)
      const inside = (this.inside = this.frame.contentWindow)
      inside.postMessage = data => this.answer(data)
      inside.importScripts = (...addresses) =>
        addresses.reduce((before, next) => before.then(() => load(inside, next)), Promise.resolve())
      this.ready = load(inside, address)
    }

    answer(data) {
      const message = new MessageEvent("message", { data })
      this.dispatchEvent(message)
      if (this.onmessage) this.onmessage(message)
    }

    postMessage(data) {
      this.ready.then(() => this.inside.dispatchEvent(new MessageEvent("message", { data: structuredClone(data) })))
    }

    terminate() {
      this.frame.remove()
    }
  }

  function load(inside, address) {
    return new Promise((resolve, reject) => {
      const script = inside.document.createElement("script")
      script.src = new URL(address, location.href).href
      script.onload = resolve
      script.onerror = reject
      inside.document.body.appendChild(script)
    })
  }

  window.Worker = FrameWorker
})()
