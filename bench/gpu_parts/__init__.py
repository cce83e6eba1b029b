"""The parts of ``bench.gpu_report``, each a script of its own that also runs alone."""
