"""Which GPUs to get: needs, candidates, ranking, reasons; and the teaching views that go with them."""
