"""`python -m conescope` is `conescope`."""

from conescope.cli import main

main()
