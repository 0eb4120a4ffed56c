"""What people corrected by hand in a result, kept beside it; the result itself stays as it is.

`edits` says what can be changed, `log` keeps the edits in a file that only grows,
`apply` makes a timeline of a timeline and its edits, `agreement` compares hand and machine.
"""

from .apply import apply, load_result
from .edits import Edit
from .log import Annotations, append, read_annotations

__all__ = ["Annotations", "Edit", "append", "apply", "load_result", "read_annotations"]
