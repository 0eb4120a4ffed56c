"""`emofuse serve`: REST, jobs, live sessions and the page. `docs/api.md` is its contract.

The server's own process parses HTTP, JSON and the JPEGs of live sessions. Uploads are
opened and analyzed in worker processes, which may be killed at any time.
"""
