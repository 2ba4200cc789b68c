"""For testing implementations of the harmony format, this one and any other.

`strategies` draws texts, conversations and streams of tokens; `mutate` breaks streams as models do;
`invariants` says what must hold; `conformance` puts them together, for the command `harmony-py conform` and
for `pytest --harmony-impl`; `vectors` is data for tests in any language. `docs/harness.md` has the tour.

Of these only `strategies` and `conformance` need hypothesis: `pip install 'harmony-py[testing]'`.
"""
