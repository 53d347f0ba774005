"""``python -m aiida_perovskite.engines.aims.emulator``."""

from aiida_perovskite.engines.aims.emulator.main import main

raise SystemExit(main())
