/** The surface shared by menus, selects, popovers and palettes. */
export const popupClass =
  'rounded-lg border border-line bg-raised text-ink shadow-pop outline-none transition-[opacity,scale] duration-100 ' +
  'origin-(--transform-origin) data-ending-style:scale-[0.98] data-ending-style:opacity-0 ' +
  'data-starting-style:scale-[0.98] data-starting-style:opacity-0'

/** One line in a menu, select or palette. */
export const popupItemClass =
  'flex min-h-8 cursor-default select-none items-center gap-2 rounded-md px-2 py-1.5 text-sm outline-none ' +
  'data-highlighted:bg-hover data-disabled:text-faint data-disabled:opacity-60 pointer-coarse:min-h-10 ' +
  "[&_svg:not([class*='size-'])]:size-4 [&_svg]:shrink-0"

/** The heading of a group of such lines. */
export const popupLabelClass = 'px-2 pt-2 pb-1 font-medium text-faint text-xs'
