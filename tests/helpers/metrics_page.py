"""The page of metrics, as Prometheus parses it."""

from prometheus_client.parser import text_string_to_metric_families


class Page:
    """A scraped page."""

    def __init__(self, text: str) -> None:
        self.samples = [
            sample
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if not sample.name.endswith("_bucket")
        ]

    def value(self, name: str, **labels: str) -> float:
        """The sum of the samples that carry these labels."""
        return sum(
            sample.value
            for sample in self.samples
            if sample.name == f"answerback_{name}" and labels.items() <= sample.labels.items()
        )

    def labels(self, name: str, label: str) -> set[str]:
        return {sample.labels[label] for sample in self.samples if sample.name == f"answerback_{name}"}
