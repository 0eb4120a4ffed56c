"""``python -m emofuse`` is the command line."""

from .apps.cli import main

raise SystemExit(main())
