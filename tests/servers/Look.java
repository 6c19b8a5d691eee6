import J2Ci.jDVInterface;
import dicomscope.DICOMscope;
import java.awt.Component;
import java.awt.Container;
import java.awt.EventQueue;
import java.awt.image.BufferedImage;
import java.io.File;
import java.lang.reflect.Field;
import javax.imageio.ImageIO;
import main.Controller;
import main.ImageActionEvent;
import main.MainContext;

/** Lets DICOMscope show an image with a presentation state, and keeps what is on its canvas. */
public class Look {
    static final String CANVAS = "viewer.gui.ImageCanvas";
    static final int TRIES = 100;

    public static void main(String[] presentationImageResult) throws Exception {
        MainContext.instance();
        DICOMscope window = new DICOMscope();
        window.setVisible(true);
        Field field = DICOMscope.class.getDeclaredField("dvi");
        field.setAccessible(true);
        jDVInterface images = (jDVInterface) field.get(window);
        int refused = images.loadPState(presentationImageResult[0], presentationImageResult[1]);
        if (refused != 0) {
            System.exit(2);
        }
        EventQueue.invokeAndWait(() -> {
            int show = ImageActionEvent.ACTION_SETNEWIMAGE;
            Controller.instance().fireEvent(new ImageActionEvent(window, show, 1, 1));
            window.switchToViewer();
        });
        BufferedImage before = null;
        for (int tries = 0; tries < TRIES; tries++) { // until it no longer changes
            Thread.sleep(300);
            BufferedImage seen = painted(canvas(window));
            if (before != null && seen != null && equal(before, seen)) {
                ImageIO.write(seen, "png", new File(presentationImageResult[2]));
                System.exit(0);
            }
            before = seen;
        }
        System.exit(3);
    }

    static Component canvas(Container within) {
        for (Component one : within.getComponents()) {
            if (one.getClass().getName().equals(CANVAS)) {
                return one;
            }
            Component below = one instanceof Container ? canvas((Container) one) : null;
            if (below != null) {
                return below;
            }
        }
        return null;
    }

    static BufferedImage painted(Component canvas) throws Exception {
        if (canvas == null || canvas.getWidth() < 1 || canvas.getHeight() < 1) {
            return null;
        }
        int kind = BufferedImage.TYPE_INT_RGB;
        BufferedImage seen = new BufferedImage(canvas.getWidth(), canvas.getHeight(), kind);
        EventQueue.invokeAndWait(() -> canvas.paint(seen.getGraphics()));
        return seen;
    }

    static boolean equal(BufferedImage one, BufferedImage other) {
        if (one.getWidth() != other.getWidth() || one.getHeight() != other.getHeight()) {
            return false;
        }
        boolean dark = true;
        for (int y = 0; y < one.getHeight(); y++) {
            for (int x = 0; x < one.getWidth(); x++) {
                if (one.getRGB(x, y) != other.getRGB(x, y)) {
                    return false;
                }
                dark &= (one.getRGB(x, y) & 0xffffff) == 0;
            }
        }
        return !dark;
    }
}
