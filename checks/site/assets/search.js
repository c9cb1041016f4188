
/* Proofbook's part of the search; it stands behind the theme's worker, in the same file. */
;(() => {
  "use strict"

  /* The theme marks, copies and sends to the page all that it finds, of which a reader sees the first ten. In a house of thousands of
     runbooks that is most of the wait. So it is handed the best pages alone; one more than these tells that there are more. */
  const MOST = 100
  const search = lunr.Index.prototype.search
  const add = lunr.Builder.prototype.add
  const texts = new Map()

  lunr.Builder.prototype.add = function (doc, ...more) {
    texts.set(doc.location, [plain(doc.title), plain(doc.text)])
    return add.call(this, doc, ...more)
  }

  lunr.Index.prototype.search = function (query) {
    const found = search.call(this, query)
    /* A word with a hyphen in it comes twice. */
    const words = [...new Set(query.toLowerCase().split(/\s+/).map(word => word.replace(/^[+-]|[*~^].*$/g, "")))]
    prefer(found, plain(words.join(" ")))
    if (found.length <= MOST) return found
    const wanted = words.filter(lunr.stopWordFilter)
    const pages = new Set()
    return found
      .map(one => [weight(one, wanted), one])
      .sort(([one], [other]) => other - one)
      .map(([, one]) => one)
      .filter(({ ref }) => {
        const [page] = ref.split("#", 1)
        if (pages.size <= MOST) pages.add(page)
        return pages.has(page)
      })
  }

  /* What says just what was typed, in its title or at all, comes before what has the words, or only begins like them: lunr finds
     "Metric 17" in "Metric 1700 of System 17" as well. */
  function prefer(found, typed) {
    if (!typed.trim()) return
    const most = Math.max(0, ...found.map(({ score }) => score))
    for (const one of found) {
      const [title, text] = texts.get(one.ref) ?? ["", ""]
      /* The theme multiplies by five at the most. */
      one.score += most * (title.includes(typed) ? 100 : text.includes(typed) ? 10 : 0)
    }
  }

  /* Its words, with one space around each: by their spaces whole words are told from beginnings of others. */
  function plain(text) {
    return ` ${text.toLowerCase().replace(/<[^>]*>/g, " ").replace(/[^\p{L}\p{N}]+/gu, " ").trim()} `
  }

  /* As the theme ranks: a page before its sections, and what has more of the words before what has fewer. */
  function weight({ ref, score, matchData }, words) {
    const terms = Object.keys(matchData.metadata)
    const share = words.filter(word => terms.some(term => term.startsWith(word))).length / words.length
    return score * (1 + (!ref.includes("#") + share) ** 2)
  }

  /* By this text lunr knows two parts of its tree of words as one. Without gaps, digits of words run into those of numbers: then it
     finds words that are nowhere, and fails. */
  lunr.TokenSet.prototype.toString = function () {
    const edges = Object.keys(this.edges).sort().map(label => `${label}${this.edges[label].id}`)
    return `${this.final} ${edges.join(" ")}`
  }
})()
