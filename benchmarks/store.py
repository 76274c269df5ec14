"""What the local platform's store costs: claims alone and among eight writing processes, news to another process, opening, memory.

A claim is `NodePlatform.claim` on an Instance of eight slots, one of twenty, from the call to the answer; each is given back, which is
not measured. The other seven writers claim and release without a pause, so that eight processes share this machine's cores.
News: from the call of one process until another one's watch has it. Opening is that of an interpreter that has loaded its modules.
"""

from __future__ import annotations

from benchmarks._harness import Case, main

_IMPORT = "from benchmarks import _store"

if __name__ == "__main__":
    main(
        "store",
        [
            Case("claim alone, median", f"{_IMPORT}\nprint(_store.percentile(_store.claims(2000), 50))", "ms", None, runs=3),
            Case("claim alone, 99th of 100", f"{_IMPORT}\nprint(_store.percentile(_store.claims(2000), 99))", "ms", 10, runs=3),
            Case("claim among 8 writers, median", f"{_IMPORT}\nprint(_store.percentile(_store.writers(400), 50))", "ms", None, runs=3),
            Case("claim among 8 writers, 99th of 100", f"{_IMPORT}\nprint(_store.percentile(_store.writers(400), 99))", "ms", 50, runs=3),
            Case("news to another process, 95th of 100", f"{_IMPORT}\nprint(_store.percentile(_store.news(200), 95))", "ms", 50, runs=3),
            Case("opening with 1,000 Instances", f"{_IMPORT}\nprint(_store.opening(1000)[0])", "s", 0.3, runs=3),
            Case("opening with 10,000 Instances", f"{_IMPORT}\nprint(_store.opening(10000)[0])", "s", None, runs=3),
            Case("memory of 1,000 Instances", f"{_IMPORT}\nprint(_store.opening(1000)[1])", "MiB", None, runs=3),
            Case("memory of 10,000 Instances", f"{_IMPORT}\nprint(_store.opening(10000)[1])", "MiB", None, runs=3),
        ],
    )
