"""``python -m emofuse`` is the command line."""

from .cli.main import main

raise SystemExit(main())
