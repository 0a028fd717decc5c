"""What `make bench` runs. Figures are kept in README.md beside this, with the machine named."""
