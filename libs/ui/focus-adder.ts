/**
 * For the button that takes a row out of a form: the focus goes on to the button that adds another one (`data-adds`), for the row
 * takes its own with it, and one would begin anew at the top of the page.
 */
export function focusAdder(button: Element): void {
  const adder = button.closest(':has([data-adds])')?.querySelector<HTMLElement>('[data-adds]')
  // When the row has gone: until then there may be no room for another.
  window.setTimeout(() => adder?.focus())
}
