import com.pixelmed.validate.DicomSRValidator;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.Field;
import java.nio.charset.StandardCharsets;

import javax.xml.transform.Transformer;
import javax.xml.transform.TransformerFactory;
import javax.xml.transform.stream.StreamSource;

/**
 * PixelMed's validator of structured reports, on many files with one start of Java: it is told
 * them line by line, says "Done" after each, and ends when nobody talks to it any more.
 *
 * <p>PixelMed loads its rules without saying where they come from, and so reads its 660 kB of
 * context groups again for every code of a report. Loaded from an address they are read once a
 * report: a tenth of a second instead of several. The rules are the same, byte for byte.
 */
public class ManyReports {
    private static final String RULES = "/com/pixelmed/validate/DicomSRDescriptionsCompiled.xsl";

    public static void main(String[] unused) throws Exception {
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        DicomSRValidator validator = validator();
        BufferedReader asked = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String file = asked.readLine(); file != null; file = asked.readLine()) {
            try {
                out.println(validator.validate(file));
            } catch (Exception fault) {
                out.println("Error: PixelMed could not read it: " + fault);
            }
            out.println("Done");
        }
    }

    private static DicomSRValidator validator() throws Exception {
        DicomSRValidator validator = new DicomSRValidator();
        String address = DicomSRValidator.class.getResource(RULES).toString();
        Transformer rules = TransformerFactory.newInstance().newTransformer(new StreamSource(address));
        Field first = DicomSRValidator.class.getDeclaredField("transformerPass1");
        first.setAccessible(true);
        first.set(validator, rules);
        validator.setOptionDescribeChecking(false);
        validator.setOptionMatchCaseOfCodeMeaning(true);
        validator.setOptionCheckTemplateID(false);
        return validator;
    }
}
