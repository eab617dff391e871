import java.io.FileInputStream;
import java.util.logging.LogManager;
import org.verapdf.gf.foundry.VeraGreenfieldFoundryProvider;
import org.verapdf.pdfa.Foundries;
import org.verapdf.pdfa.PDFAParser;
import org.verapdf.pdfa.PDFAValidator;
import org.verapdf.pdfa.flavours.PDFAFlavour;
import org.verapdf.pdfa.results.TestAssertion;
import org.verapdf.pdfa.results.ValidationResult;

/** Hold PDFs against PDF/A-2a and PDF/UA-1 with veraPDF: a line for each file and standard, and for each rule broken. */
public class PdfStandards {
    public static void main(String[] files) throws Exception {
        LogManager.getLogManager().reset();
        VeraGreenfieldFoundryProvider.initialise();
        for (String file : files) {
            for (PDFAFlavour flavour : new PDFAFlavour[] {PDFAFlavour.PDFA_2_A, PDFAFlavour.PDFUA_1}) {
                try (FileInputStream bytes = new FileInputStream(file);
                        PDFAParser parser = Foundries.defaultInstance().createParser(bytes, flavour);
                        PDFAValidator validator = Foundries.defaultInstance().createValidator(flavour, false)) {
                    ValidationResult found = validator.validate(parser);
                    for (TestAssertion broken : found.getTestAssertions()) {
                        System.out.println(file + " " + flavour + " breaks " + broken.getRuleId().getClause() + ": " + broken.getMessage());
                    }
                    System.out.println(file + " " + flavour + (found.isCompliant() ? " conforms" : " does not conform"));
                }
            }
        }
    }
}
