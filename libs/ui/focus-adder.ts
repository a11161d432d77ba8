/**
 * For the button that takes a row out of a form: the focus goes on to the button that adds another one (`data-adds`), for the row
 * takes its own with it, and one would begin anew at the top of the page.
 */
export function focusAdder(button: Element): void {
  const adder = button.closest(':has([data-adds])')?.querySelector<HTMLElement>('[data-adds]')
  // When the row has gone: until then there may be no room for another.
  window.setTimeout(() => adder?.focus())
}

/** For the button that adds a row (`data-adds`): the focus goes on to the first field of that row, the last of its group. */
export function focusAdded(button: Element): void {
  const group = button.closest('fieldset')
  window.setTimeout(() => {
    const rows = group?.querySelectorAll('fieldset')
    rows
      ?.item(rows.length - 1)
      ?.querySelector('input')
      ?.focus()
  })
}
