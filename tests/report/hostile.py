"""Texts that would break out of a page which trusts its data."""

SCRIPT = "<script>alert(1)</script>"
IMAGE = '"><img src=x onerror=alert(1)>'
END = "</script><!-- \u2028 ]]>"
PLOTLY = '<b>%{x}</b> $y$ &amp; <a href="javascript:alert(1)">z</a>'

TEXTS = (SCRIPT, IMAGE, END, PLOTLY)
