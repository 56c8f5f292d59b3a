"""`python -m ulpt_search.search.cli`: the same door as the command `ulpt-search`."""

from . import main

main()
