"""A report on paper: set in lines and pages, drawn, as TIFF for a fax machine or PDF for a printer."""
