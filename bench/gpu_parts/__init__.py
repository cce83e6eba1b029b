"""The parts of ``bench.gpu_report``; each is a script that also runs separately."""
