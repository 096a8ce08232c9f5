"""What MkDocs does besides: the pages at the root of the repository, diagrams without a network, and a last check.

The repository's README becomes the start page. The theme would load its diagram library from another host: its script
is changed to load the copy that the site carries. A site that would ask any other host for anything is refused.
"""

import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
MERMAID = ROOT / ".venv/docs/mermaid.js"
PAGES = {"index.md": "README.md", "CONTRIBUTING.md": "CONTRIBUTING.md", "SECURITY.md": "SECURITY.md"}
PAGES |= {"CHANGELOG.md": "CHANGELOG.md"}
# In the theme's script: what it would load from elsewhere, and what it loads instead.
LOADED = {
    "https://unpkg.com/mermaid@11/dist/mermaid.min.js": "assets/mermaid.js",
    "https://unpkg.com/resize-observer-polyfill": "data:text/javascript,",
}
FOREIGN = {
    ".html": re.compile(r"<(?:script|img|source|iframe|link)\b[^>]*\b(?:src|srcset|href)=[\"']?(?:https?:)?//[^\s>]+"),
    ".css": re.compile(r"url\([\"']?(?:https?:)?//[^)]+\)|@import[^;]+//[^;]+"),
    ".js": re.compile(r"https?://(?:unpkg\.com|cdn\.|cdnjs\.)[^\s\"']*"),
}


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that stand at the root of the repository, and the licence."""
    for name, source in PAGES.items():
        text = (ROOT / source).read_text()
        files.append(File.generated(config, name, content=text.replace("](LICENSE)", "](LICENSE.txt)")))
    files.append(File.generated(config, "LICENSE.txt", content=(ROOT / "LICENSE").read_text()))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Links and pictures as they stand in the site, where all pages lie in one folder."""
    markdown = re.sub(r"(\]\(|[\"'])(?:\.\./|docs/)(?=[\w./-]+\.(?:md|png|json)\b)", r"\1", markdown)
    return markdown.replace("](README.md", "](index.md")


def on_post_build(config: Any) -> None:
    """Carry the diagram library, and refuse a site that would ask another host."""
    site = Path(config["site_dir"])
    (site / "assets/mermaid.js").write_bytes(MERMAID.read_bytes())
    changed = set()
    for script in site.glob("assets/javascripts/bundle.*.js"):
        text = script.read_text()
        for foreign, own in LOADED.items():
            if foreign in text:
                text = text.replace(foreign, own)
                changed.add(foreign)
        script.write_text(text)
    if missing := LOADED.keys() - changed:
        raise PluginError(f"the theme's script does not name {sorted(missing)}: look where it loads its diagrams from")
    asked = [f"{file.relative_to(site)}: {each}" for file, each in _foreign(site)]
    if asked:
        raise PluginError("the site would ask other hosts:\n" + "\n".join(asked))


def _foreign(site: Path) -> list[tuple[Path, str]]:
    return [
        (file, found[0])
        for file in sorted(site.rglob("*.*"))
        if (pattern := FOREIGN.get(file.suffix)) and file.name != "mermaid.js"
        for found in pattern.finditer(file.read_text())
    ]
