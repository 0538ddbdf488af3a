/** Keeps the end of something that grows in view, until its reader scrolls back. */

/** Closer to the end than this counts as reading along. */
const AT_END_PX = 80;

export class FollowEnd {
  #top = 0;
  #size = '';

  /**
   * @param {import('./vendor/lit.js').LitElement & {away: boolean}} host
   * @param {() => HTMLElement | null} find what scrolls
   */
  constructor(host, find) {
    this.host = host;
    this.find = find;
  }

  /**
   * To be called on every `scroll`. Only scrolling back means that the reader went away: what grows below, or a place
   * that changes its size and scrolls by that, does not.
   */
  scrolled() {
    const place = this.find();
    if (!place) return;
    const {scrollTop, scrollHeight, clientHeight} = place;
    const size = `${scrollHeight} ${clientHeight}`;
    const back = scrollTop < this.#top && size === this.#size;
    this.#top = scrollTop;
    this.#size = size;
    if (scrollHeight - clientHeight - scrollTop <= AT_END_PX) this.host.away = false;
    else if (back) this.host.away = true;
  }

  /** To be called whenever there is more. */
  grown() {
    if (!this.host.away) this.toEnd();
  }

  toEnd() {
    this.host.away = false;
    const place = this.find();
    if (!place) return;
    place.scrollTop = place.scrollHeight;
    this.#top = place.scrollTop;
    this.#size = `${place.scrollHeight} ${place.clientHeight}`;
  }
}
